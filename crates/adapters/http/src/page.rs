//! The OpenAPI document as a page for people. It loads nothing: no script, no font, no style of
//! anybody else's.

use std::fmt::Write;

use serde_json::Value;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color:#1b1b1b;background:#fff}h2{border-top:1px solid #ccc;padding-top:1rem}\
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f3f3;border-radius:4px}\
code{padding:.1em .3em}pre{padding:1rem;overflow:auto}table{border-collapse:collapse}\
td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}\
code,pre{background:#262626}td,th,h2{border-color:#444}}";

/// The page of `document`.
pub(crate) fn page(document: &Value) -> String {
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let info = &document["info"];
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title>\
         <style>{STYLE}</style></head><body><h1>{0}</h1><p>{1}</p>\
         <p>For programs: <a href=\"/openapi.json\">openapi.json</a></p>",
        text(&info["title"]),
        text(&info["description"]),
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            // Writing to a string can't fail.
            let _ = write!(
                out,
                "<h2><code>{} {}</code></h2><p>{}. {}</p>",
                method.to_uppercase(),
                escape(path),
                text(&operation["summary"]),
                text(&operation["description"]),
            );
            parameters(&mut out, operation);
            if let Some(content) = operation["requestBody"]["content"].as_object() {
                for (kind, body) in content {
                    let _ = write!(
                        out,
                        "<p>Body, <code>{}</code>: {}</p>",
                        escape(kind),
                        schema(&body["schema"])
                    );
                }
            }
            answers(&mut out, operation);
        }
    }
    out.push_str("<h1>Types</h1>");
    for (name, described) in document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let json = serde_json::to_string_pretty(described).unwrap_or_default();
        let _ = write!(
            out,
            "<h2 id=\"{0}\">{0}</h2><pre>{1}</pre>",
            escape(name),
            escape(&json)
        );
    }
    out.push_str("</body></html>");
    out
}

fn parameters(out: &mut String, operation: &Value) {
    let Some(parameters) = operation["parameters"].as_array() else {
        return;
    };
    out.push_str("<table><tr><th>parameter</th><th>in</th><th>for</th></tr>");
    for parameter in parameters {
        let text = |name: &str| escape(parameter[name].as_str().unwrap_or_default());
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            text("name"),
            text("in"),
            text("description")
        );
    }
    out.push_str("</table>");
}

fn answers(out: &mut String, operation: &Value) {
    out.push_str("<table><tr><th>status</th><th>answer</th></tr>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let description = response["description"].as_str().unwrap_or_default();
        let kinds: Vec<_> = response["content"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(kind, content)| {
                format!(
                    "<code>{}</code> {}",
                    escape(kind),
                    schema(&content["schema"])
                )
            })
            .collect();
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{} {}</td></tr>",
            escape(status),
            escape(description),
            kinds.join("<br>")
        );
    }
    out.push_str("</table>");
}

/// A link to the type, where the schema is one with a name.
fn schema(schema: &Value) -> String {
    schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
        .map(|name| format!("<a href=\"#{0}\">{0}</a>", escape(name)))
        .unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_loads_nothing() {
        let document = crate::openapi_document();
        let page = page(&document);
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(page.contains(&escape(path)), "{path}");
        }
        for loading in ["src=", "http://", "https://", "<script", "@import", "url("] {
            assert!(!page.contains(loading), "{loading}");
        }
    }

    #[test]
    fn markup_in_the_document_is_shown_not_obeyed() {
        let page = page(&serde_json::json!({"info": {"title": "<b>\"&"}}));
        assert!(page.contains("&lt;b&gt;&quot;&amp;"));
    }
}
