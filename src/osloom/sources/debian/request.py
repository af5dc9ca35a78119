"""What one image asks of the repositories: data only, so that a build needs no more of them."""

import msgspec

from osloom.base.digest import Digest, digest_json


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What one image asks for."""

    names: tuple[str, ...]
    """`NAME` or `NAME=VERSION`."""
    suite: str
    architecture: str
    essential: bool
    """Take the Essential packages too, as every full system has them."""
    recommends: bool
    without: tuple[str, ...] = ()
    """Dependencies not to follow: `NAME`, or `PACKAGE>NAME` where only PACKAGE's does not count."""

    @property
    def digest(self) -> Digest:
        return digest_json(
            [
                sorted(self.names),
                self.suite,
                self.architecture,
                self.essential,
                self.recommends,
                *([sorted(self.without)] if self.without else []),
            ]
        )
