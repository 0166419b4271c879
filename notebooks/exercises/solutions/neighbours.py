from irnas_lib.genotypes import Genotype
from irnas_lib.search_space import OPERATIONS


def neighbours(genotype):
    found = []
    for n, node in enumerate(genotype):
        for e, edge in enumerate(node):
            for operation in OPERATIONS[:-1]:
                if operation != edge.operation:
                    nodes = [list(node) for node in genotype]
                    nodes[n][e] = (operation, edge.source)
                    found.append(Genotype(nodes))
    return found
