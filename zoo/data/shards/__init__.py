"""Pictures in TFRecord or WebDataset tar shards, streamed: neither memory nor the disk has to hold them."""

from zoo.data.shards.images import ShardedImages, StreamedSplits
from zoo.data.shards.loading import load_shards
from zoo.data.shards.locations import find
from zoo.data.shards.writing import write_shards

__all__ = ["ShardedImages", "StreamedSplits", "find", "load_shards", "write_shards"]
