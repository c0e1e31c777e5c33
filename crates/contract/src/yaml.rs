//! Writes JSON values as YAML: block style, every text in double quotes where it could be taken
//! for something else. Enough for documents of our own.

use serde_json::Value;

/// `value` as a YAML document.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                out.push_str(&format!("{indent}{}:", scalar_text(name)));
                nested(value, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(fields) if !fields.is_empty() => {
                        let mut inner = String::new();
                        block(item, depth + 1, &mut inner);
                        // The first line takes the dash in the place of its own indentation.
                        out.push_str(&format!("{indent}- {}", inner.trim_start()));
                    }
                    _ => {
                        out.push_str(&format!("{indent}-"));
                        nested(item, depth, out);
                    }
                }
            }
        }
        scalar => out.push_str(&format!("{indent}{}\n", flow(scalar))),
    }
}

fn nested(value: &Value, depth: usize, out: &mut String) {
    let empty = match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if empty {
        out.push_str(&format!(" {}\n", flow(value)));
    } else {
        out.push('\n');
        block(value, depth + 1, out);
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text),
        other => other.to_string(),
    }
}

/// A word that YAML takes for nothing else stands as it is; the rest as JSON's own text, which is
/// YAML too.
fn scalar_text(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain {
        text.to_owned()
    } else {
        Value::String(text.to_owned()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn maps_lists_and_texts_have_their_yaml_form() {
        let value = json!({"a": {"b": [1, "x y", {"c": null, "d": "no"}], "e": []}, "f": {}});
        assert_eq!(
            super::write(&value),
            "a:\n  b:\n    - 1\n    - \"x y\"\n    - c: null\n      d: \"no\"\n  e: []\nf: {}\n"
        );
    }
}
