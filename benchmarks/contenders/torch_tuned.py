"""PyTorch by hand for speed: data in memory, channels-last, a compiled forward and backward, one fused Adam."""

import contextlib

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
    compiled = torch.compile(network)

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
                loss = compiled(x) / batch_size
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total.item() / steps

    return torch_models.count(network), run
