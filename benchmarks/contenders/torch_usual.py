"""The usual PyTorch script, as `examples/vae` of PyTorch has it: a DataLoader over a Dataset, eager steps.

It does without torchvision: the Dataset below gives what its MNIST with `ToTensor()` gives, a PIL image made a tensor.
On a CPU that script uses no worker processes.
"""

import numpy as np
import torch
import torch_models
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset


class Images(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        picture = Image.fromarray(self.images[index].squeeze())
        pixels = np.array(picture, copy=True)
        pixels = torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None])
        return pixels.permute(2, 0, 1).contiguous().float().div(255), 0


def start(model, precision, images, batch_size, threads):
    torch.set_num_threads(threads)
    dataset = Images(images)
    network = torch_models.build(model)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    if hasattr(network, "begin"):
        network.begin(next(iter(DataLoader(dataset, batch_size, shuffle=True)))[0])

    def run(steps):
        part = Subset(dataset, torch.randperm(len(dataset))[: steps * batch_size].tolist())
        loader = DataLoader(part, batch_size=batch_size, shuffle=True)
        total = 0.0
        for _ in range(steps // len(loader)):
            network.train()
            for x, _ in loader:
                optimizer.zero_grad()
                loss = network(x)
                loss.backward()
                total += loss.item()
                optimizer.step()
        return total / (steps * batch_size)

    return torch_models.count(network), run
