def mixed_edge(x, logits, operations):
    return sum(weight * operation(x) for weight, operation in zip(logits.softmax(dim=0), operations))
