"""Hand-counted worksheets: every figure below was worked out on paper, layer kind by layer kind.

(multiply-accumulates, additions, other functions). A product accumulates, so a bias is its accumulator's start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from worksheets import counted

from insula.explain.cost import Work, column_preparation, count_estimator
from insula.models.cells.bank import LiquidBank
from insula.models.cells.cfc import CfC
from insula.models.cells.conductance import ConductanceLTC
from insula.models.cells.cores import ExponentialAverage, GatedRecurrent
from insula.models.cells.liquid import NeuralLTC
from insula.models.cells.wiring import Wiring
from insula.models.cmslnet import LowRankFusion
from insula.models.cv_eegnet import SpectralConv
from insula.models.dgcnn import ChebyshevConv
from insula.models.kernels import reference_only
from insula.models.mpcl import Memory
from insula.models.pinn_eda import Tangent
from insula.models.rbtransformer import BandEntropy, ElectrodeAttention
from insula.models.tcfn import Routing
from insula.models.tcn import CausalConv


class Function(nn.Module):
    """Any tensor function as a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *values: torch.Tensor) -> Any:
        return self.function(*values)


def test_graph_convolution() -> None:
    # 3 nodes of 2 features, order 3, 4 outputs
    # Laplacian: 9 + 9 products, its sign free; two products with it: 2 x 3 x 3 x 2 = 36; twice the first minus the
    # nodes: 6 products, 6 additions; mixing 3 nodes x (3 x 2) x 4 = 72
    nodes, graph = torch.randn(1, 3, 2), torch.rand(3, 3)
    macs, _, _ = counted(ChebyshevConv(2, 4, 3), nodes, graph + graph.T)
    assert macs == 18 + 36 + 6 + 72


def test_a_complex_product_is_four_real_ones() -> None:
    # 2 filters x 6 bins x kernel 3 x 1 map = 36 complex products
    macs, _, _ = counted(SpectralConv(1, 2, 3), torch.randn(1, 1, 6, dtype=torch.complex64))
    assert macs == 4 * 36


def test_routing_between_capsules() -> None:
    # 2 capsules of width 3 to 2 of width 4: votes 2 x 2 x 3 x 4 = 48 products, times presence 16; three rounds, each:
    # shares times presence 4, shares times votes 16, squash of 2 x 4 values: squares 8, v x length 8 = 36; two rounds
    # of agreement: votes times capsules 16; at the end votes' lengths (2 x 2) times shares 4 and their squares 16
    layer = Routing(2, 3, 2, 4)
    macs, _, others = counted(layer, torch.randn(1, 2, 3), torch.ones(1, 2))
    assert macs == 48 + 16 + 3 * 36 + 2 * 16 + 4 + 16
    # softmax of 4 twice others (8) a round; squash: a root of 2, a division of 8 a round; 4 roots of lengths
    assert others == 3 * (8 + 2 + 8) + 4


def test_low_rank_fusion_of_two_vectors() -> None:
    # width 3, rank 2: two maps 3 x 6 = 36; their product 6; attention 6 x 2 = 12; weights times terms 6
    macs, _, _ = counted(LowRankFusion(3, 2), torch.randn(1, 3), torch.randn(1, 3))
    assert macs == 36 + 6 + 12 + 6


def test_memory_retrieval() -> None:
    # 2 tokens of width 3, 4 slots: query 2 x 9; likeness 2 x 4 x 3, its scale 8; values 2 x 4 x 3
    macs, _, others = counted(Memory(3, 4), torch.randn(1, 2, 3))
    assert macs == 18 + 24 + 8 + 24
    assert others == 2 * 8, "softmax; the scale's exponential is a weight of its own and done once"


def test_a_derivative_along_the_way() -> None:
    # 2 inputs, width 3: values 6 + 9 products, derivatives as many; 1 - h^2: a square each, times the derivative, twice
    macs, _, others = counted(Tangent(2, 3), torch.randn(1, 2), torch.randn(1, 2))
    assert macs == 2 * (6 + 9) + 2 * (3 + 3)
    assert others == 6


PLAIN: list[tuple[str, nn.Module, tuple[int, ...], tuple[int, int, int]]] = [
    # 3 outputs x 5 inputs = 15 products a row; 2 rows -> 30. The bias is free.
    ("linear", nn.Linear(5, 3), (2, 5), (30, 0, 0)),
    # the same on 2 x 4 rows: 8 x 15 = 120
    ("linear over a sequence", nn.Linear(5, 3, bias=False), (2, 4, 5), (120, 0, 0)),
    # length 10, kernel 3: 8 outputs; 4 filters x 8 outputs x (2 channels x 3) = 192
    ("conv1d", nn.Conv1d(2, 4, 3), (1, 2, 10), (192, 0, 0)),
    # stride 2: outputs (10 - 3) // 2 + 1 = 4; 4 filters x 4 x 6 = 96
    ("strided conv1d", nn.Conv1d(2, 4, 3, stride=2), (1, 2, 10), (96, 0, 0)),
    # dilation 4 spans 9 samples: outputs 2; 4 x 2 x 6 = 48
    ("dilated conv1d", nn.Conv1d(2, 4, 3, dilation=4), (1, 2, 10), (48, 0, 0)),
    # 2 groups: a filter sees one channel; 4 filters x 8 outputs x 3 = 96
    ("grouped conv1d", nn.Conv1d(2, 4, 3, groups=2), (1, 2, 10), (96, 0, 0)),
    # zeros before the window keep 10 outputs: 4 x 10 x 6 = 240
    ("causal conv", CausalConv(2, 4, 3), (1, 2, 10), (240, 0, 0)),
    # 5 x 6 with kernel (2, 3): 4 x 4 outputs; 3 filters x 16 x (2 x 6) = 576; batch of 2 -> 1152
    ("conv2d", nn.Conv2d(2, 3, (2, 3)), (2, 2, 5, 6), (1152, 0, 0)),
    # depthwise over all 5 rows: 4 filters x 6 outputs x 5 = 120
    ("depthwise conv2d", nn.Conv2d(2, 4, (5, 1), groups=2), (1, 2, 5, 6), (120, 0, 0)),
    # each of 2 x 4 inputs meets 3 filters x kernel 2 = 6 weights: 48
    ("transposed conv1d", nn.ConvTranspose1d(2, 3, 2), (1, 2, 4), (48, 0, 0)),
    # 2 rows of 6: mean 6 additions, centring 6; squares 6, scaling 6, weight and bias 6 products; 2 divisions, 1 root
    ("layer norm", nn.LayerNorm(6), (2, 6), (36, 24, 6)),
    # fixed statistics: one scale and shift for each of 2 x 3 x 4 values
    ("batch norm", nn.BatchNorm1d(3), (2, 3, 4), (24, 0, 0)),
    # 12 values each
    ("gelu", nn.GELU(), (3, 4), (0, 0, 12)),
    ("elu", nn.ELU(), (3, 4), (0, 0, 12)),
    ("sigmoid", nn.Sigmoid(), (3, 4), (0, 0, 12)),
    ("tanh", nn.Tanh(), (3, 4), (0, 0, 12)),
    # a comparison each
    ("relu", nn.ReLU(), (3, 4), (0, 12, 0)),
    # 2 rows of 5: an element is compared, subtracted, summed; exponential, division
    ("softmax", nn.Softmax(-1), (2, 5), (0, 30, 20)),
    # 2 channels x 3 outputs, 4 values each, one division each
    ("average pool", nn.AvgPool1d(4), (1, 2, 12), (0, 24, 6)),
    # 2 channels x 3 outputs, 4 comparisons each
    ("max pool", nn.MaxPool1d(4), (1, 2, 12), (0, 24, 0)),
    # nothing while it is used
    ("dropout", nn.Dropout(0.5), (3, 4), (0, 0, 0)),
    # 2 x 7 steps; a step: 3 gates x 4 units x (3 inputs + 4 units) = 84, r (U h) 4, z (n - h) 4 = 92 products;
    # n - h 4 additions; 12 sigmoid and tanh. 14 steps: 1288, 56, 168
    ("gru", nn.GRU(3, 4, batch_first=True), (2, 7, 3), (1288, 56, 168)),
    # second layer reads 4: 3 x 4 x 8 + 8 = 104 a step; 14 x (92 + 104) = 2744; additions 112; others 336
    ("two-layer gru", nn.GRU(3, 4, 2, batch_first=True), (2, 7, 3), (2744, 112, 336)),
    # a step: 4 gates x 4 x (3 + 4) = 112, f c and i g 8, o tanh(c) 4 = 124; 16 gates and 4 tanh = 20. 14 steps
    ("lstm", nn.LSTM(3, 4, batch_first=True), (2, 7, 3), (1736, 0, 280)),
    # twice the lstm above
    ("bidirectional lstm", nn.LSTM(3, 4, batch_first=True, bidirectional=True), (2, 7, 3), (3472, 0, 560)),
    # one step of the gru above for 2 rows
    ("gru cell", nn.GRUCell(3, 4), (2, 3), (184, 8, 24)),
    ("lstm cell", nn.LSTMCell(3, 4), (2, 3), (248, 0, 40)),
    # 3 tokens of width 4, 2 heads of 5: query, key, value 3 x 4 x 30 = 360; Q K^T 2 heads x 9 x 5 = 90; its scale 18;
    # A V 90; output 3 x 10 x 4 = 120: 678. softmax on 18 weights: 54 additions, 36 others
    ("electrode attention", ElectrodeAttention(4, 2, 5, 0.0), (1, 3, 4), (678, 54, 36)),
]


@pytest.mark.parametrize(("layer", "shape", "expected"), [p[1:] for p in PLAIN], ids=[p[0] for p in PLAIN])
def test_worksheet(layer: nn.Module, shape: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    assert counted(layer, torch.randn(shape)) == expected


def test_embedding_is_a_look_up() -> None:
    assert counted(nn.Embedding(10, 4), torch.tensor([[1, 2, 3]])) == (0, 0, 0)


def test_torch_attention() -> None:
    # 3 tokens of width 4, 2 heads of 2: in-projection 3 x 4 x 12 = 144; Q scaled: 12; Q K^T 2 x 9 x 2 = 36;
    # A V 36; output 3 x 4 x 4 = 48. 18 weights: softmax 54 additions, 36 others; mean over heads: 18 additions,
    # 9 divisions
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    values = torch.randn(1, 3, 4)
    assert counted(attention, values, values, values) == (144 + 12 + 36 + 36 + 48, 54 + 18, 36 + 9)


def test_functional_attention() -> None:
    # 2 heads, 3 queries, 5 keys of 4, values of 4: 30 weights; Q K^T 120, scale 30, A V 120; softmax 90 and 60
    layer = Function(functional.scaled_dot_product_attention)
    query, key = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4)
    assert counted(layer, query, key, key) == (270, 90, 60)


def test_functional_arithmetic_outside_any_layer() -> None:
    # 6 products x * y; 6 additions; 6 exponentials; mean of 6: 6 additions and 1 division
    layer = Function(lambda x, y: torch.exp(x * y + y).mean())
    assert counted(layer, torch.randn(2, 3), torch.randn(2, 3)) == (6, 12, 7)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # complex 2 x 3 by 3 x 4: 24 products, 4 multiply-accumulates each
        (lambda: (Function(torch.matmul), torch.randn(2, 3) + 0j, torch.randn(3, 4) + 0j), (96, 0, 0)),
        # 6 complex products of 4, 6 complex additions of 2
        (lambda: (Function(lambda a, b: a * b + b), torch.randn(2, 3) + 0j, torch.randn(2, 3) + 0j), (24, 12, 0)),
        # a complex number by a real one: 2
        (lambda: (Function(lambda a, b: a * b), torch.randn(2, 3) + 0j, torch.randn(2, 3)), (12, 0, 0)),
        # magnitude: two squares and a root each
        (lambda: (Function(torch.abs), torch.randn(2, 3) + 0j), (12, 0, 6)),
        # complex convolution: 4 filters x 8 outputs x 6 = 192 complex products
        (lambda: (nn.Conv1d(2, 4, 3, dtype=torch.complex64), torch.randn(1, 2, 10) + 0j), (768, 0, 0)),
        # complex 3 outputs x 5 inputs x 2 rows
        (lambda: (nn.Linear(5, 3, dtype=torch.complex64), torch.randn(2, 5) + 0j), (120, 0, 0)),
        # complex Fourier transform of 8: 12 butterflies of one complex product (4) and two complex additions (4)
        (lambda: (Function(torch.fft.fft), torch.randn(8) + 0j), (48, 48, 0)),
        # of 8 real numbers: half of it
        (lambda: (Function(torch.fft.rfft), torch.randn(8)), (24, 24, 0)),
    ],
    ids=["matmul", "multiply add", "by real", "magnitude", "conv1d", "linear", "fft", "real fft"],
)
def test_complex_worksheet(function: Any, expected: tuple[int, int, int]) -> None:
    layer, *inputs = function()
    assert counted(layer, *inputs) == expected


@pytest.mark.parametrize(
    ("solver", "expected"),
    [
        # 5 samples, 3 inputs, 4 neurons, 2 sub-steps. W u: 12 products and dt = elapsed / K one division a sample.
        # a sub-step: U x 16; k s, f A, dt (f A) + x, dt (.) + 1: 16; 1/tau + f: 4; sigmoid and division: 8.
        # 5 x (12 + 2 x 32) = 380; 5 x 2 x 4 = 40; 5 x (1 + 2 x 8) = 85
        ("fused", (380, 40, 85)),
        # a sub-step: U x 16; k s, f A, dt (.), (.) e + x*: 16; 1/tau + f, x - x*: 8; sigmoid, division, exp: 12.
        # 5 x (12 + 2 x 32) = 380; 5 x 2 x 8 = 80; 5 x (1 + 2 x 12) = 125
        ("exponential", (380, 80, 125)),
    ],
)
def test_neural_liquid_worksheet(solver: Any, expected: tuple[int, int, int]) -> None:
    cell = NeuralLTC(3, 4, tau_s=(0.1, 1.0), sub_steps=2, solver=solver)
    assert counted(cell, torch.randn(1, 5, 3), torch.ones(1, 5, 1)) == expected


def test_wired_neural_liquid_counts_existing_synapses_only() -> None:
    # the fused cell above with 3 of its 12 input synapses and 6 of its 16 recurrent ones:
    # 5 x (3 + 2 x (6 + 16)) = 235; the rest as above
    sensory, recurrent = np.zeros((3, 4), np.int8), np.zeros((4, 4), np.int8)
    sensory[0, :3] = 1
    recurrent[:2, :3] = -1
    cell = NeuralLTC(3, 4, tau_s=(0.1, 1.0), sub_steps=2, wiring=Wiring(sensory, recurrent, 4))
    assert counted(cell, torch.randn(1, 5, 3), torch.ones(1, 5, 1)) == (235, 40, 85)


def test_conductance_liquid_worksheet() -> None:
    # 5 samples, 3 inputs, 4 neurons, 2 sub-steps, all synapses. A synapse: 3 MACs (slope, w sigma, E), 2 additions
    # (v - mu, sum of conductances), 1 sigmoid. A neuron: 3 MACs, 4 additions, 1 division.
    # a sample: inputs 3 and outputs 4 scaled 7; sensory 12 x 3 = 36; 2 x (16 x 3 + 4 x 3) = 120: 163 -> 815
    # additions: 12 x 2 = 24; 2 x (16 x 2 + 4 x 4) = 96: 120 -> 600
    # others: dt 1; 12; 2 x (16 + 4) = 40: 53 -> 265
    cell = ConductanceLTC(3, 4, sub_steps=2)
    assert counted(cell, torch.randn(1, 5, 3), torch.ones(1, 5, 1)) == (815, 600, 265)


@pytest.mark.parametrize(
    ("mode", "backbone", "expected"),
    [
        # 5 samples, 3 inputs, 4 neurons, backbone of 6. [u, h] x backbone 7 x 6 = 42; its activation 12 and 6 tanh;
        # four heads 6 x 16 = 96; a neuron: 3 MACs, 1 addition, sigmoid and two tanh: 12, 4, 12; the time: 1 addition
        # 5 x (42 + 12 + 96 + 12) = 810; 5 x 5 = 25; 5 x 18 = 90
        ("default", 6, (810, 25, 90)),
        # a neuron: 2 MACs, no addition: 5 x (150 + 8) = 790; 5; 90
        ("no_gate", 6, (790, 5, 90)),
        # one head: 24; a neuron: 3 MACs, 1 addition, 1 exponential: 5 x (42 + 12 + 24 + 12) = 450; 25; 5 x 10 = 50
        ("pure", 6, (450, 25, 50)),
        # no backbone: [u, h] x 16 = 112 and 12: 5 x 124 = 620; 25; 5 x 12 = 60
        ("default", 0, (620, 25, 60)),
    ],
)
def test_closed_form_liquid_worksheet(mode: Any, backbone: int, expected: tuple[int, int, int]) -> None:
    cell = CfC(3, 4, mode, backbone_units=backbone)
    assert counted(cell, torch.randn(1, 5, 3), torch.ones(1, 5, 1)) == expected


def test_exponential_average_worksheet() -> None:
    # 5 samples, 3 inputs, 4 units. W u 60; tanh 20; -elapsed / tau: 20 divisions; 1 - exp 20; (.) drive: 20 products;
    # exp 20; keep h + (.): 20
    layer = ExponentialAverage(3, 4, (0.1, 1.0))
    assert counted(layer, torch.randn(1, 5, 3), torch.ones(1, 5, 1)) == (60 + 20 + 20, 0, 20 + 20 + 20 + 20)


def test_gated_recurrent_worksheet() -> None:
    # as a GRU of 3 inputs and 4 units, 5 samples: 3 gates x 4 x 7 = 84, r (U h) and h + z (.) 8; n - h 4; 12 functions
    layer = GatedRecurrent(3, 4)
    assert counted(layer, torch.randn(1, 5, 3), torch.ones(1, 5, 1)) == (5 * 92, 5 * 4, 5 * 12)


@pytest.mark.parametrize("liquid", [True, False])
def test_a_bank_declares_what_its_plain_form_costs(liquid: bool) -> None:
    class Plain(LiquidBank):
        operations = None

    given = torch.randn(1, 5, 3), torch.ones(1, 5, 1)
    with reference_only():
        plain = counted(Plain(3, (1.0, 10.0), liquid), *given)
    assert counted(LiquidBank(3, (1.0, 10.0), liquid), *given) == plain


def test_band_entropy_worksheet() -> None:
    # 1 window, 2 electrodes, 256 samples. 4 bands x 512 values x 5 sections x 5 = 51,200; square and scale of the
    # window 1,024; squares for the variance of each band 2,048: 54,272.
    # mean and centring of the window 1,024; of each band 2 x 2,048: 5,120. 8 entropies: division and logarithm;
    # the window: two divisions and a root: 19
    layer = BandEntropy(128.0, 256)
    assert counted(layer, torch.randn(1, 2, 256), torch.ones(1, 256, dtype=torch.bool)) == (54_272, 5_120, 19)


def test_weights_alone_are_worked_out_once() -> None:
    class Positive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.log_scale = nn.Parameter(torch.zeros(3))

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values * torch.exp(self.log_scale)

    assert counted(Positive(), torch.randn(2, 3)) == (6, 0, 0)  # the 3 exponentials need no input


def test_column_preparation_worksheet() -> None:
    # 7 columns: a comparison and a scale and shift each
    found = column_preparation(7)
    assert (found.macs, found.adds, found.others) == (7, 7, 0)


RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 7))


def test_logistic_regression_worksheet() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # 4 classes x 7 columns = 28 products; softmax 12 additions, 8 others; scaler 7 products
    four = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, np.arange(60) % 4)
    found = count_estimator(four, ROWS)
    assert (found.macs, found.adds, found.others) == (35, 12, 8)
    assert found.by_layer["logisticregression"] == Work(28, 12, 8)
    # 2 classes: one score of 7 products and one sigmoid
    found = count_estimator(LogisticRegression().fit(ROWS, np.arange(60) % 2), ROWS)
    assert (found.macs, found.adds, found.others) == (7, 0, 1)


def test_forest_worksheet() -> None:
    from sklearn.ensemble import RandomForestClassifier

    # labels follow the sign of one column that every tree must use: one comparison a tree, 5 trees; then 2 additions
    # a tree for the votes of 2 classes: 5 + 10 = 15, and 2 divisions
    rows = np.sign(RNG.normal(size=(60, 1)))
    forest = RandomForestClassifier(5, random_state=0).fit(rows, (rows[:, 0] > 0).astype(int))
    found = count_estimator(forest, rows)
    assert (found.macs, found.adds, found.others) == (0, 15, 2)


def test_gradient_boosting_worksheet() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    # 3 trees with one split each: 3 comparisons and 3 additions, one sigmoid
    rows = np.sign(RNG.normal(size=(60, 1)))
    boosted = HistGradientBoostingClassifier(max_iter=3, early_stopping=False, min_samples_leaf=5)
    found = count_estimator(boosted.fit(rows, (rows[:, 0] > 0).astype(int)), rows)
    assert (found.macs, found.adds, found.others) == (0, 6, 1)


def test_svm_worksheet() -> None:
    from sklearn.svm import SVC

    # two points, both support vectors, 2 columns: 2 x 2 differences; 2 x 2 squares, 2 gammas, 2 dual products; 2 exp
    machine = SVC(kernel="rbf").fit(np.array([[0.0, 0.0], [1.0, 1.0]]), [0, 1])
    found = count_estimator(machine, np.zeros((1, 2)))
    assert (found.macs, found.adds, found.others) == (8, 4, 2)
