//! What Jinja in a profile looks at.

/// Names that come to the same as long as the environment and `--vars` are the same: Jinja's own words, filters of dbt and of
/// Jinja, and the two functions that ask for these.
const KNOWN: &[&str] = &[
    "env_var",
    "var",
    "as_bool",
    "as_number",
    "as_native",
    "as_text",
    "abs",
    "default",
    "float",
    "int",
    "join",
    "list",
    "lower",
    "replace",
    "split",
    "string",
    "trim",
    "upper",
    "if",
    "elif",
    "else",
    "endif",
    "set",
    "and",
    "or",
    "not",
    "in",
    "is",
    "defined",
    "none",
    "None",
    "true",
    "True",
    "false",
    "False",
];

/// Whether Jinja in this text looks at nothing but environment variables and `--vars`. Where that cannot be told, it is not
/// so: `flags`, `modules`, `run_started_at`, `dbt_version`, macros, escapes of YAML's.
pub(super) fn is_of_environment_and_vars(text: &str) -> bool {
    let mut rest = text;
    while let Some(begin) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let end = if rest[begin..].starts_with("{{") { "}}" } else { "%}" };
        let inside = &rest[begin + 2..];
        let Some(length) = inside.find(end) else { return false };
        if !names(&inside[..length]).is_some_and(|names| names.iter().all(|name| KNOWN.contains(name))) {
            return false;
        }
        rest = &inside[length + 2..];
    }
    !["\\x", "\\u", "\\U"].iter().any(|escape| text.contains(escape))
}

/// The names in an expression, but for those in strings. `None`: a string in it does not end.
fn names(expression: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => rest[1..].find(first)? + 2,
            first if first.is_alphabetic() || first == '_' => {
                let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                names.push(&rest[..length]);
                length
            }
            // `1e3` is no name.
            first if first.is_ascii_digit() => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len())
            }
            other => other.len_utf8(),
        };
        rest = &rest[length..];
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_and_vars_decide_is_known() {
        for text in [
            "",
            "path: a.duckdb",
            "path: \"{{ env_var('DBT_PATH') }}/{{ var('name', 'flags') | lower }}.duckdb\"",
            "path: '{{ env_var(\"A\", \"modules\") }}'",
            "threads: \"{{ env_var('N', '4') | as_number }}\"",
            "target: \"{{ 'a' if env_var('CI', '') == '1' else 'b' }}\"",
            "path: \"{% if var('x') > 1e3 %}x{% else %}y{% endif %}\"",
            "modules-path: x # run_started_at, in no Jinja",
        ] {
            assert!(is_of_environment_and_vars(text), "{text}");
        }
    }

    #[test]
    fn what_something_else_decides_is_not() {
        for text in [
            "{{ flags.FULL_REFRESH }}",
            "{{ modules.datetime.datetime.now() }}",
            "{{ run_started_at }}",
            "{% set x = dbt_version %}",
            "{{ env_var('A') ",
            "{{ env_var('A) }}",
            "{{ my_macro() }}",
            "\"\\x7b\\x7b flags }}\"",
            "{{ env_var('A') }} {{ target.name }}",
        ] {
            assert!(!is_of_environment_and_vars(text), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_text_is_there_is_an_answer(text in "(\\{\\{|\\}\\}|\\{%|%\\}|'|\"|ä|env_var|flags|1e3| ){0,16}") {
            is_of_environment_and_vars(&text);
        }
    }
}
