"""PyTorch by hand for speed: data in memory, channels-last, one fused Adam, compiled where that is faster.

On some processors `torch.compile` slows convolutions down, so that a first few steps of both decide.
"""

import contextlib
import sys
import time

import torch
import torch_models


def start(model, precision, images, batch_size, threads):
    torch.set_num_threads(threads)
    layout = torch.channels_last if model != "mlp_vae" else torch.contiguous_format
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous(memory_format=layout)
    network = torch_models.build(model).to(memory_format=layout)
    if hasattr(network, "begin"):
        network.begin(pixels[torch.randperm(len(pixels))[:batch_size]])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    forward = network

    def cast():
        return torch.autocast("cpu", torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()

    order = torch.randperm(len(pixels))
    place = 0

    def rows():
        nonlocal order, place
        if place + batch_size > len(order):
            order, place = torch.randperm(len(pixels)), 0
        place += batch_size
        return order[place - batch_size : place]

    def run(steps):
        total = torch.zeros(())
        for _ in range(steps):
            x = pixels[rows()]
            with cast():
                loss = forward(x) / batch_size
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total.item() / steps

    def milliseconds():
        run(2)
        taken = []
        for _ in range(6):
            start = time.perf_counter()
            run(1)
            taken.append(time.perf_counter() - start)
        return 1e3 * min(taken)

    kept = [value.clone() for value in network.state_dict().values()]
    eager = milliseconds()
    forward = torch.compile(network)
    compiled = milliseconds()
    print(f"a step takes {eager:.1f} ms, compiled {compiled:.1f} ms", file=sys.stderr)
    if eager < compiled:
        forward = network
    with torch.no_grad():  # those steps do not count
        for value, before in zip(network.state_dict().values(), kept):
            value.copy_(before)
    optimizer.state.clear()
    return torch_models.count(network), run
