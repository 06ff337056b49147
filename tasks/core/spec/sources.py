"""Where the data of a study come from."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Frozen, Id


class LakeSource(Frozen):
    """Cohorts are built from the OMOP tables of the lake."""

    id: Id
    kind: Literal["lake"]
    sites: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")], ...],
        AS_TUPLE,
        Field(description="Sites to use; all sites of the lake when empty."),
    ] = ()
    site_prefix: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
            description="Use the sites whose id starts so, and no other; instead of `sites`.",
        ),
    ] = None

    @model_validator(mode="after")
    def _chooses_sites_in_one_way(self) -> Self:
        if self.sites and self.site_prefix:
            raise ValueError("sites and site_prefix stand together; keep one of them")
        return self

    def takes(self, site_id: object) -> bool:
        """Whether rows of this site belong to the study."""
        if self.site_prefix:
            return str(site_id).startswith(self.site_prefix)
        return not self.sites or site_id in self.sites
