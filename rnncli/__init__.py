"""rnncli: train RNN, LSTM and GRU text models from one YAML file, in NumPy."""

__version__ = "0.1.0"
