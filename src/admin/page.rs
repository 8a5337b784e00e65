//! The dashboard: a page and what belongs to it, all of it inside the program.
//!
//! The page asks `/stats` and the tails as any other client would; nothing here knows a number. Its
//! parts are in `page/`, the code of others in `page/vendor/`.

use std::hash::Hasher;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rustc_hash::FxHasher;

/// One file of the page.
#[derive(Debug)]
struct Asset {
    /// Below `/assets/`.
    path: &'static str,
    body: &'static [u8],
}

macro_rules! assets {
    ($($path:literal),* $(,)?) => {
        &[$(Asset { path: $path, body: include_bytes!(concat!("page/", $path)) }),*]
    };
}

const INDEX: Asset = Asset { path: "index.html", body: include_bytes!("page/index.html") };

const ASSETS: &[Asset] = assets![
    "icon.svg",
    "style.css",
    "detail.js",
    "dom.js",
    "format.js",
    "main.js",
    "model.js",
    "plot.js",
    "poll.js",
    "readers.js",
    "streams.js",
    "tail.js",
    "vendor/uplot-1.6.32/LICENSE",
    "vendor/uplot-1.6.32/uPlot.esm.js",
    "vendor/uplot-1.6.32/uPlot.min.css",
    "vendor/xterm-6.0.0/LICENSE",
    "vendor/xterm-6.0.0/xterm.css",
    "vendor/xterm-6.0.0/xterm.mjs",
    "vendor/xterm-addon-fit-0.11.0/LICENSE",
    "vendor/xterm-addon-fit-0.11.0/addon-fit.mjs",
];

/// What the page may load and do: its own files and our own answers, nothing written into it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One for each of [`ASSETS`], and the last for [`INDEX`]: changes when the file does.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tag = |asset: &Asset| {
        let mut hasher = FxHasher::default();
        hasher.write(asset.body);
        format!("\"{:016x}\"", hasher.finish())
    };
    ASSETS.iter().chain([&INDEX]).map(tag).collect()
});

/// The page's paths.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(index)).route("/assets/{*path}", get(asset))
}

async fn index(headers: HeaderMap) -> Response {
    answer(&INDEX, &TAGS[ASSETS.len()], &headers)
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().position(|asset| asset.path == path) {
        Some(place) => answer(&ASSETS[place], &TAGS[place], &headers),
        None => (StatusCode::NOT_FOUND, "404: the page has no such part\n").into_response(),
    }
}

fn answer(asset: &Asset, tag: &'static str, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let (status, body) = match is_known {
        true => (StatusCode::NOT_MODIFIED, &[][..]),
        false => (StatusCode::OK, asset.body),
    };
    let fixed = |text: &'static str| HeaderValue::from_static(text);
    let headers = [
        (header::CONTENT_TYPE, fixed(media_type(asset.path))),
        (header::CACHE_CONTROL, fixed(caching(asset.path))),
        (header::ETAG, fixed(tag)),
        (header::CONTENT_SECURITY_POLICY, fixed(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
    ];
    (status, headers, body).into_response()
}

/// A path with a version in it never changes; everything else is asked for again, and is mostly
/// still the same.
fn caching(path: &str) -> &'static str {
    match path.starts_with("vendor/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The texts in double quotes that begin so.
    fn quoted<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
        text.split('"').skip(1).step_by(2).filter(move |quoted| quoted.starts_with(begin))
    }

    fn has(path: &str) -> bool {
        ASSETS.iter().any(|asset| asset.path == path)
    }

    #[test]
    fn everything_that_the_page_names_is_there_and_nothing_is_elsewhere() {
        let text = |asset: &Asset| str::from_utf8(asset.body).unwrap().to_owned();
        let index = text(&INDEX);
        for path in quoted(&index, "assets/") {
            assert!(has(path.trim_start_matches("assets/")), "{path}");
        }
        for asset in ASSETS.iter().filter(|asset| !asset.path.starts_with("vendor/")) {
            for path in quoted(&text(asset), "./") {
                assert!(has(path.trim_start_matches("./")), "{path} in {}", asset.path);
            }
        }
        let own = ASSETS.iter().filter(|asset| !asset.path.starts_with("vendor/")).chain([&INDEX]);
        for asset in own.filter(|asset| asset.path != "icon.svg") {
            let text = text(asset);
            assert!(!text.contains("http:") && !text.contains("https:"), "{}", asset.path);
            assert!(!text.contains("innerHTML"), "{} takes text for HTML", asset.path);
        }
        assert!(!index.contains(" style=") && !index.contains("<style"), "styles are in files");
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/admin/page");
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_file() && name != "index.html" {
                assert!(has(&name), "{name}");
            }
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let mut headers = HeaderMap::new();
        let fresh = answer(&INDEX, &TAGS[ASSETS.len()], &headers);
        assert_eq!(fresh.status(), StatusCode::OK);
        let tag = fresh.headers()[header::ETAG].clone();
        headers.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(
            answer(&INDEX, &TAGS[ASSETS.len()], &headers).status(),
            StatusCode::NOT_MODIFIED
        );
    }

    #[test]
    fn types_and_caching_follow_the_name() {
        assert_eq!(media_type("vendor/x/xterm.mjs"), "text/javascript; charset=utf-8");
        assert_eq!(media_type("icon.svg"), "image/svg+xml");
        assert_eq!(media_type("vendor/x/LICENSE"), "text/plain; charset=utf-8");
        assert!(caching("vendor/x/xterm.mjs").contains("immutable"));
        assert_eq!(caching("main.js"), "no-cache");
    }
}
