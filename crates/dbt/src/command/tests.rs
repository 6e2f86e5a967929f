use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> DbtCommand {
    DbtCommand::parse(text.split_whitespace().map(str::to_owned).collect())
}

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn the_command_is_found_whatever_stands_around_it() {
    for (text, kind) in [
        ("run", Kind::Run),
        ("--no-use-colors run --select a", Kind::Run),
        ("--log-level debug run", Kind::Run),
        ("--target build test", Kind::Test),
        ("-tbuild seed", Kind::Seed),
        ("-t build compile", Kind::Compile),
        ("run --select test build", Kind::Run),
        ("docs generate", Kind::DocsGenerate),
        ("docs serve --port 80", Kind::Aside),
        ("source freshness", Kind::SourceFreshness),
        ("run --help", Kind::Aside),
        ("--version", Kind::Aside),
        ("", Kind::Aside),
        ("ls", Kind::List),
        ("frobnicate", Kind::Other),
    ] {
        assert_eq!(parse(text).kind(), kind, "{text}");
    }
}

#[test]
fn values_are_read_in_every_spelling() {
    let command = parse("run -s a b --threads=3 -m c --vars {x:1} --target dev -t prod");
    assert_eq!(command.values("--select").collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((command.threads(), command.value("--target")), (Some(3), Some("prod")));
    let here = Path::new("/work");
    assert_eq!(parse("run --project-dir sub").project_directory(here, &nothing), Path::new("/work/sub"));
    let variable = |name: &str| (name == "DBT_PROJECT_DIR").then(|| "/other".to_owned());
    assert_eq!(parse("run").project_directory(here, &variable), Path::new("/other"));
}

#[test]
fn only_what_differs_in_selection_and_threads_is_merged() {
    let key = |text: &str| parse(text).merge_key(&nothing);
    assert_eq!(key("run -s a"), key("run --select b c --threads 8"));
    assert_eq!(key("run -t prod --vars {}"), key("run --vars {} --target prod"));
    for other in ["build -s a", "run -s a -f", "run -s a --vars {y:1}", "run -s a --exclude b", "run -s a -t other"] {
        assert_ne!(key("run -s a"), key(other), "{other}");
    }
    for alone in [
        "parse",
        "compile -s a",
        "show -s a",
        "run -x",
        "run --indirect-selection cautious",
        "run --debug",
        "run extra",
    ] {
        assert_eq!(key(alone), None, "{alone}");
    }
    let fails_fast = |name: &str| (name == "DBT_FAIL_FAST").then(|| "1".to_owned());
    assert_eq!(parse("run").merge_key(&fails_fast), None);
}

#[test]
fn a_merged_command_is_the_union() {
    let commands = [parse("run -s a --threads 2 -t dev"), parse("run -t dev --select b+ --threads 8")];
    let merged = DbtCommand::merged(&commands.iter().collect::<Vec<_>>(), Some(4)).expect("one");
    assert_eq!(merged.text(), "dbt run --target dev --threads 8 --select a b+");
    let everything = [parse("run -s a"), parse("run")];
    let merged = DbtCommand::merged(&everything.iter().collect::<Vec<_>>(), Some(4)).expect("one");
    assert_eq!(merged.text(), "dbt run --threads 4");
    assert_eq!(DbtCommand::merged(&[], None), None);
}

#[test]
fn what_reads_goes_first_and_what_runs_all_anew_last() {
    assert_eq!(parse("ls").usual_priority(), Priority::High);
    assert_eq!(parse("build").usual_priority(), Priority::Normal);
    assert_eq!(parse("run -f").usual_priority(), Priority::Low);
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(args in prop::collection::vec("[-=a-z{}ä ]{0,8}", 0..8)) {
        let command = DbtCommand::parse(args.clone());
        prop_assert_eq!(command.args(), &args[..]);
        let _ = (command.kind(), command.merge_key(&nothing), command.threads());
    }
}
