def supernet_weights(layers, nodes, width, channels):
    def cell(c):
        edge = 9 * c * c + 2 * (9 * c + c * c) + 9 * c * c + 9 * c * c + c + 486 * c + 54
        return nodes * (nodes + 3) // 2 * edge

    total = 9 * channels * 64 + 9 * 64 * nodes * width  # the stem
    before, last = [64], [nodes * width]  # channels of the outputs two layers and one layer back, by level
    for number in range(1, layers + 1):
        outputs = []
        for level in range(min(number, 2) + 1):
            c = width * 2 ** level
            total += cell(c) + before[min(level, len(before) - 1)] * c
            total += sum(last[source] * c for source in range(len(last)) if abs(source - level) <= 1)
            outputs.append(nodes * c)
        before, last = last, outputs
    return total + 9 * sum(last) * channels + channels
