//! What a dbt command does to the project and its database.

/// What dbt is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "dbt's own names")]
pub enum Kind {
    Build,
    Clean,
    Clone,
    Compile,
    Debug,
    Deps,
    DocsGenerate,
    List,
    Parse,
    Retry,
    Run,
    RunOperation,
    Seed,
    Show,
    Snapshot,
    SourceFreshness,
    Test,
    /// Touches neither the project's artefacts nor its database: `docs serve`, `init`, `--version`, `--help`.
    Aside,
    /// None that is known here: the most is assumed.
    Other,
}

impl Kind {
    /// By the words of the command.
    pub(super) fn of(words: &[&str]) -> Self {
        match words {
            [] | ["init" | "help", ..] | ["docs", "serve"] | ["docs" | "source"] => Self::Aside,
            ["build", ..] => Self::Build,
            ["clean", ..] => Self::Clean,
            ["clone", ..] => Self::Clone,
            ["compile", ..] => Self::Compile,
            ["debug", ..] => Self::Debug,
            ["deps", ..] => Self::Deps,
            ["docs", "generate", ..] => Self::DocsGenerate,
            ["list" | "ls", ..] => Self::List,
            ["parse", ..] => Self::Parse,
            ["retry", ..] => Self::Retry,
            ["run", ..] => Self::Run,
            ["run-operation", ..] => Self::RunOperation,
            ["seed", ..] => Self::Seed,
            ["show", ..] => Self::Show,
            ["snapshot", ..] => Self::Snapshot,
            ["source", "freshness" | "snapshot-freshness", ..] => Self::SourceFreshness,
            ["test", ..] => Self::Test,
            _ => Self::Other,
        }
    }

    /// Whether it reads or writes `target/`, or what dbt else keeps in the project.
    pub fn touches_project(self) -> bool {
        self != Self::Aside
    }

    /// Whether it opens the database. Measured with the file locked: `parse`, `ls`, `deps` and `clean` work; the others
    /// fail.
    pub fn opens_database(self) -> bool {
        !matches!(self, Self::Aside | Self::Parse | Self::List | Self::Deps | Self::Clean)
    }

    /// Whether a process that has dbt imported can do it as well as a new one: not what asks questions of a person, or
    /// changes what is imported.
    pub fn may_be_warm(self) -> bool {
        !matches!(self, Self::Aside | Self::Debug | Self::Deps | Self::Clean | Self::Retry | Self::Other)
    }

    /// Whether two of a kind can become one invocation with the union of their selections.
    pub fn may_be_merged(self) -> bool {
        matches!(self, Self::Run | Self::Build | Self::Test | Self::Seed | Self::Snapshot | Self::Compile)
    }
}
