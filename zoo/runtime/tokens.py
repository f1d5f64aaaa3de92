"""The tokens of sentences that stand for no text: their numbers in every vocabulary."""

PADDING = 0  # behind the end; as a decoder's input also a word that is dropped
BEGIN = 1  # the decoder's first input; never a part of a sentence
END = 2
SPECIAL = 3  # the number of these tokens; a vocabulary's own tokens follow
