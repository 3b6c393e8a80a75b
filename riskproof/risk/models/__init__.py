"""The risk models that ship, one canonical document each; `riskproof.risk.model.load_model` reads them.

Documents of version 1 have no member `checked`; what was checked of one that ships is here, by the digest of its document.
"""

from typing import Final

CHECKED: Final = {
    "54f6230419b998709c7b7540ea2771e93b2309b093df459fcd6576ef7b37d1a2": (  # crypto-pm
        "Checked: the rows of the risk array are those of the kernel's literal twin, bit for bit, on made markets, and of a sample "
        "of instruments on two real option chains, a crash among them; values of options at the snapshot are within a "
        "ten-thousandth of a coin of the venue's marks on those chains, all but one in a thousand. Margin, buffer and haircuts are "
        "compared with their definitions in fractions, and with the engine for models of version 2, which prices otherwise, to "
        "1e-6 of the margin. Not checked against any venue: scenarios, buffer, haircuts and factors are a convention in the range "
        "of what venues publish, and nobody's official parameters, so there is no margin to compare with. Whether the scenarios "
        "are wide enough is a judgement, and no backtest is part of it."
    ),
}
