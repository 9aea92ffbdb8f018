"""Layer functions: pure pairs ``out, cache = f_forward(...)`` and ``grads = f_backward(dout, cache)``.

The letters, everywhere:

========  =====================================================
N         sequences in a batch
T         steps of a sequence (of the longest, in a ragged batch)
D         size of an input vector
H         size of a hidden state
V         size of the vocabulary
C         number of classes
R         packed rows, one a real token (see ``rnncli.packing``)
G         gates of a cell: 1 RNN, 4 LSTM, 3 GRU
dfoo      gradient of the loss by ``foo``, of the shape of ``foo``
========  =====================================================

Gradients come in the order of the inputs. No function changes an argument or keeps a state; the type given is the
type computed in (float32 to train, float64 to check).
"""

from rnncli.layers.activations import log_softmax, sigmoid, softmax
from rnncli.layers.affine import affine_backward, affine_forward, temporal_affine_backward, temporal_affine_forward
from rnncli.layers.attention import attention_pooling_backward, attention_pooling_forward, attention_weights
from rnncli.layers.bags import bag_backward, bag_forward
from rnncli.layers.dropout import dropout_backward, dropout_forward, dropout_mask
from rnncli.layers.embedding import word_embedding_backward, word_embedding_forward
from rnncli.layers.gru import (
    GRU,
    GRU_RESET_AFTER,
    gru_backward,
    gru_forward,
    gru_step_backward,
    gru_step_forward,
)
from rnncli.layers.initializers import glorot_uniform, orthogonal
from rnncli.layers.losses import binary_loss, softmax_loss, temporal_softmax_loss
from rnncli.layers.lstm import LSTM, lstm_backward, lstm_forward, lstm_step_backward, lstm_step_forward
from rnncli.layers.penalties import (
    activation_penalty_backward,
    activation_penalty_forward,
    slowness_penalty_backward,
    slowness_penalty_forward,
)
from rnncli.layers.pooling import (
    last_pooling_backward,
    last_pooling_forward,
    max_pooling_backward,
    max_pooling_forward,
    mean_pooling_backward,
    mean_pooling_forward,
)
from rnncli.layers.recurrent import Cell, recurrent_backward, recurrent_forward
from rnncli.layers.rnn import RNN, rnn_backward, rnn_forward, rnn_step_backward, rnn_step_forward

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}

__all__ = [
    "CELLS",
    "GRU",
    "GRU_RESET_AFTER",
    "LSTM",
    "RNN",
    "Cell",
    "activation_penalty_backward",
    "activation_penalty_forward",
    "affine_backward",
    "affine_forward",
    "attention_pooling_backward",
    "attention_pooling_forward",
    "attention_weights",
    "bag_backward",
    "bag_forward",
    "binary_loss",
    "dropout_backward",
    "dropout_forward",
    "dropout_mask",
    "glorot_uniform",
    "gru_backward",
    "gru_forward",
    "gru_step_backward",
    "gru_step_forward",
    "last_pooling_backward",
    "last_pooling_forward",
    "log_softmax",
    "lstm_backward",
    "lstm_forward",
    "lstm_step_backward",
    "lstm_step_forward",
    "max_pooling_backward",
    "max_pooling_forward",
    "mean_pooling_backward",
    "mean_pooling_forward",
    "orthogonal",
    "recurrent_backward",
    "recurrent_forward",
    "rnn_backward",
    "rnn_forward",
    "rnn_step_backward",
    "rnn_step_forward",
    "sigmoid",
    "slowness_penalty_backward",
    "slowness_penalty_forward",
    "softmax",
    "softmax_loss",
    "temporal_affine_backward",
    "temporal_affine_forward",
    "temporal_softmax_loss",
    "word_embedding_backward",
    "word_embedding_forward",
]
