"""Pages of which only some blocks come from records: each stands between two comments and is written anew.

<!-- records: NAME -->

the block

<!-- end -->
"""

import re
from collections.abc import Mapping

BLOCK = re.compile(r'<!-- records: (?P<name>[\w ]+) -->\n.*?<!-- end -->', re.DOTALL)


def names(text: str) -> list[str]:
    """The names of a page's blocks, in their order."""
    return [found['name'] for found in BLOCK.finditer(text)]


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """The page with its blocks from `blocks`, by name; KeyError for a name that is not there."""
    return BLOCK.sub(
        lambda found: (
            f'<!-- records: {found["name"]} -->\n\n{blocks[found["name"]]}\n\n<!-- end -->'
        ),
        text,
    )


def without(text: str) -> str:
    """The page without its blocks: what somebody wrote."""
    return BLOCK.sub('', text)
