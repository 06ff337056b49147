"""Settings of one site, in site.yaml of its home. A study never holds them, and never needs to."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.paths import Home
from tasks.core.strict_yaml import read_yaml
from tasks.core.validate import validated


class SiteSettings(BaseModel):
    """What differs from hospital to hospital."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=80)] = "Causeway site"
    catalogue_url: Annotated[
        str,
        Field(
            pattern=r"^(sqlite|postgres:.+)$",
            description="`sqlite` keeps the catalogue in lake/catalog.sqlite; "
            "`postgres:dbname=… host=…` puts it into PostgreSQL (password from PGPASSFILE).",
        ),
    ] = "sqlite"
    report_url: Annotated[str, Field(pattern=r"^https?://")] = "http://127.0.0.1:4280"
    disclosure_threshold: Annotated[int, Field(ge=5, le=1000)] = 11
    round_counts_to: Annotated[
        int | None, Field(ge=2, le=1000, description="Counts that leave are multiples of it.")
    ] = None
    time_zone: Annotated[str, Field(pattern=r"^[A-Za-z]+(/[A-Za-z_]+)*$")] = "Asia/Seoul"


def load_site(home: Home) -> SiteSettings:
    """Return the site's settings; the defaults where site.yaml is absent.

    Raises:
        SpecError: site.yaml has a fault; all faults are named.
    """
    file: Path = home.site_file
    absent = not file.is_symlink() and not file.exists()
    return SiteSettings() if absent else validated(SiteSettings, read_yaml(file))
