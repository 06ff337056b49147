"""Where the project's own files are, and how a working home is laid out."""

import os
from dataclasses import dataclass
from pathlib import Path

import tasks
from tasks.core.errors import UsageError

PROJECT_ROOT = Path(tasks.__file__).resolve().parents[1]
SQL_DIR = PROJECT_ROOT / "sql"
EXPECTATIONS_DIR = PROJECT_ROOT / "expectations"
STUDIES_DIR = PROJECT_ROOT / "data" / "studies"
CODE_ROOTS = ("flows", "tasks", "sql", "expectations", "requirements.lock")


@dataclass(frozen=True, slots=True)
class Home:
    """One site's working state on disk; everything outside `restricted` holds no person rows."""

    root: Path

    @property
    def site_file(self) -> Path:
        """Settings of this site."""
        return self.root / "site.yaml"

    @property
    def inbox(self) -> Path:
        """Deliveries as they arrive: inbox/<site>/<delivery>/."""
        return self.root / "inbox"

    @property
    def lake(self) -> Path:
        """Catalogue and Parquet files of the lake; mode 0700."""
        return self.root / "lake"

    @property
    def restricted(self) -> Path:
        """The only folder with person rows outside the lake; mode 0700."""
        return self.root / "restricted"

    @property
    def deliveries(self) -> Path:
        """Accepted deliveries, as delivered."""
        return self.restricted / "deliveries"

    @property
    def work(self) -> Path:
        """Private work folders of ingests and runs."""
        return self.restricted / "work"

    @property
    def runs(self) -> Path:
        """Run folders: runs/<study_id>/<run_id>/."""
        return self.root / "runs"

    @property
    def published(self) -> Path:
        """Symbolic links to the newest published run of each study."""
        return self.root / "published"

    @property
    def audit(self) -> Path:
        """The hash-chained log."""
        return self.root / "audit"

    def prepare(self) -> "Home":
        """Create the folders that are missing; return self."""
        for folder in (self.runs, self.published, self.audit):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (
            self.inbox,
            self.lake,
            self.lake / "data",
            self.restricted,
            self.deliveries,
            self.work,
        ):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self


def home_from(folder: Path | None = None) -> Home:
    """Return the home of `folder`, else of $CAUSEWAY_HOME, else data/home of the project.

    Raises:
        UsageError: There is something else than a folder at that place.
    """
    chosen = folder or os.environ.get("CAUSEWAY_HOME") or PROJECT_ROOT / "data" / "home"
    root = Path(chosen).expanduser().resolve()
    if root.exists() and not root.is_dir():
        raise UsageError(str(root), "is not a folder", "name a folder as the home.")
    return Home(root)
