//! The dashboard in a headless browser, with real streams behind it.

use serde_json::json;

use crate::demo::Demo;
use crate::support::peer::quoted;
use crate::support::{Browser, PATIENCE, TestServer, Tool, wait_until};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// A browser that looks at this server's page.
fn look_at(server: &TestServer) -> Browser {
    let browser = Browser::start(1280, 800);
    browser.open(&format!("http://{}/", server.http()));
    browser.wait_until(
        "the page is live",
        "document.querySelector('#connection').textContent == 'live'",
    );
    browser
}

/// JavaScript for an element of a stream's row.
fn in_row(stream: &str, selector: &str) -> String {
    format!("document.querySelector('tr[data-stream={stream}] {selector}')")
}

fn text(browser: &Browser, element: &str) -> String {
    let text = browser.run(&format!("return {element}?.textContent ?? ''"));
    text.as_str().expect("text").to_owned()
}

fn assert_no_errors(browser: &Browser) {
    let errors = browser.errors();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_demo_is_shown_on_every_screen() {
    let demo = Demo::start();
    let browser = Browser::start(1280, 800);
    browser.open(&format!("http://{}/", demo.http));
    browser.wait_until(
        "all streams are there",
        "document.querySelectorAll('tr[data-stream]').length == 5",
    );
    for name in ["board-1 boot log", "rack-3 climate", "board-1 cpu0 trace", "board-1 shell"] {
        let rows = text(&browser, "document.querySelector('#stream-table tbody')");
        assert!(rows.contains(name), "{name} in {rows}");
    }
    browser.wait_until(
        "rates are there",
        "/MiB\\/s/.test(document.querySelector('#total-in').textContent)",
    );
    browser.wait_until("the plot is drawn", "document.querySelector('#plot canvas')?.width > 300");
    browser.wait_until(
        "the slow reader is named",
        "document.querySelectorAll('#slowest-list li').length > 0",
    );
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for width in [360, 600, 900, 1280, 1920] {
            browser.resize(width, 800);
            let fits = "const page = document.documentElement; \
                        return page.scrollWidth <= page.clientWidth";
            assert_eq!(browser.run(fits), json!(true), "nothing sticks out at {width} pixels");
        }
    }
    assert_no_errors(&browser);
}

#[test]
fn a_lag_bar_grows_while_a_reader_is_stopped() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("Lag", json!({"Name": "watched", "StallTimeout": 200}));
    let tail = Tool::start(&["tail", "--broker", &server.broker(), "--id", &stream]);
    assert_eq!(writer.write(&stream, b"first"), 0);
    tail.wait_for_stdout(b"first");
    let browser = look_at(&server);
    let bar = in_row(&stream, ".lag [role=meter]");
    let share = format!("Number({bar}?.getAttribute('aria-valuenow'))");
    browser.wait_until(
        "the reader is there",
        &format!("{bar}?.getAttribute('aria-valuetext') == '0 B'"),
    );

    tail.signal("STOP");
    for _ in 0..40 {
        assert_eq!(writer.write(&stream, &vec![b'x'; 1 << 16]), 0);
    }
    browser.wait_until("its bar is full", &format!("{share} == 100"));
    let slowest = "document.querySelector('#slowest-list').textContent";
    browser.wait_until("it is named as lagging", &format!("/lagging/.test({slowest})"));
    browser.wait_until("with its stream", &format!("{slowest}.includes('{stream}')"));

    tail.signal("CONT");
    browser.wait_until("it has caught up", &format!("{share} == 0"));
    browser.wait_until(
        "what it lost is told",
        "document.querySelector('#total-lost').textContent != '0 B'",
    );
    assert_no_errors(&browser);
}

#[test]
fn a_full_stream_says_whom_it_waits_for() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("Full", json!({"BufferSize": 1000, "StallTimeout": null}));
    let mut reader = server.peer();
    assert_eq!(reader.attach(&stream, json!({})).0, 0);
    let parked: Vec<String> = (0..4).map(|_| writer.start_write(&stream, &[b'x'; 1000])).collect();
    let browser = look_at(&server);
    let row = in_row(&stream, ".c-parked");
    browser.wait_until("parked writes are counted", &format!("{row}?.textContent == '3'"));
    browser.run(&format!("location.hash = '#/{stream}'"));
    let held = "document.querySelector('#detail-held')";
    browser.wait_until("the detail says so", &format!("{held}.checkVisibility()"));
    let said = text(&browser, held);
    let peer = server.stats()["streams"][0]["held_by"]["peer"].clone();
    let peer = peer.as_str().expect("somebody holds it");
    assert!(said.contains("3 writes are parked") && said.contains(peer), "{said}");
    let mut taken = 0;
    while taken < 4000 {
        taken += reader.read(&stream, 1000).data.len();
    }
    for write in &parked {
        assert_eq!(writer.code_of(write), 0);
    }
    browser.wait_until("and no longer when it is over", &format!("!{held}.checkVisibility()"));
}

/// What the terminal shows.
const TAIL: &str =
    "document.querySelector('#tail .xterm-rows')?.textContent.replaceAll('\\u00a0', ' ')";

fn wait_for_tail(browser: &Browser, text: &str) {
    browser.wait_until(&format!("the tail shows {text:?}"), &format!("{TAIL}?.includes('{text}')"));
}

#[test]
fn the_tail_shows_bytes_as_they_come_and_the_end() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("Tail", json!({"Linger": 60_000}));
    assert_eq!(writer.write(&stream, b"printed before you came\n"), 0);
    let browser = look_at(&server);
    browser.run(&format!("location.hash = '#/{stream}'"));
    wait_for_tail(&browser, "printed before you came");
    // A character in two writes; a title and a link, which are the stream's and not the page's.
    for piece in [&b"gr\xc3"[..], b"\xbcn \x1b[32mdone\x1b[0m", b"\x1b]0;taken over\x07", b" ok"] {
        assert_eq!(writer.write(&stream, piece), 0);
    }
    wait_for_tail(&browser, "gr\u{fc}n done ok");
    let green = b"\x1b[38;2;10;160;10m true\x1b[0m";
    assert_eq!(writer.write(&stream, green), 0);
    wait_for_tail(&browser, "done ok true");
    let colours = "return [...document.querySelectorAll('#tail .xterm-rows span')] \
                   .filter((span) => span.style.color !== '').length";
    assert_ne!(browser.run(colours), json!(0), "its own colours are shown");
    let link = b"\x1b]8;;http://127.0.0.1:1/\x07link\x1b]8;;\x07 here";
    assert_eq!(writer.write(&stream, link), 0);
    wait_for_tail(&browser, "link here");
    assert_eq!(text(&browser, "document.querySelector('title')"), "Weir");
    assert_eq!(browser.run("return document.querySelectorAll('#tail a').length"), json!(0));
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    wait_for_tail(&browser, "end of stream");
    browser.wait_until(
        "the state says so too",
        "/ended/.test(document.querySelector('#tail-state').textContent)",
    );
    assert_no_errors(&browser);
}

#[test]
fn a_gap_in_the_tail_is_marked_to_the_byte() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("Gap", json!({"BufferSize": 1000, "History": 1000}));
    assert_eq!(writer.write(&stream, &[b'a'; 500]), 0);
    let browser = look_at(&server);
    browser.run(&format!("location.hash = '#/{stream}'"));
    browser.wait_until(
        "the tail is there",
        "document.querySelector('#tail-state').textContent == 'live, at 500'",
    );
    browser.run("document.querySelector('#tail-pause').click()");
    wait_until(PATIENCE, "the reader is gone", || {
        server.stats()["streams"][0]["reader_count"] == json!(0)
    });
    for _ in 0..10 {
        assert_eq!(writer.write(&stream, &[b'b'; 1000]), 0);
    }
    browser.run("document.querySelector('#tail-pause').click()");
    wait_for_tail(&browser, "9,000 bytes lost");
    let notice = "document.querySelector('#tail-lost')";
    browser.wait_until("and above it", &format!("{notice}.checkVisibility()"));
    assert!(
        text(&browser, notice).contains("missed 8.8 KiB in 1 gap"),
        "{}",
        text(&browser, notice)
    );
    wait_for_tail(&browser, &"b".repeat(20));
    assert_no_errors(&browser);
}

#[test]
fn a_stream_that_is_faster_than_the_page_is_caught_up_with() {
    let server = TestServer::start();
    let mut writer = server.zero_copy_peer();
    let stream = writer.create("Flood", json!({}));
    let browser = look_at(&server);
    browser.run(&format!("location.hash = '#/{stream}'"));
    wait_until(PATIENCE, "the tail is there", || {
        server.stats()["streams"][0]["reader_count"] == json!(1)
    });
    let line =
        b"a line of the flood, as wide as the terminal that has to wrap and show all of it\r\n";
    let piece = line.repeat((1 << 20) / line.len());
    for _ in 0..48 {
        assert_eq!(writer.write(&stream, &piece), 0);
    }
    assert_eq!(writer.write(&stream, b"the very last line"), 0);
    wait_for_tail(&browser, "the very last line");
    assert_no_errors(&browser);
}

#[test]
fn a_lost_connection_is_said_and_comes_back_by_itself() {
    let mut server = TestServer::start();
    let mut writer = server.peer();
    writer.create("Before", json!({"Name": "before"}));
    let browser = look_at(&server);
    let rows = "document.querySelector('#stream-table tbody').textContent";
    browser.wait_until("its stream is shown", &format!("{rows}.includes('before')"));
    browser.run("document.querySelector('tr[data-stream] a').click()");
    drop(writer);
    assert_eq!(server.terminate(), Some(0));
    browser.wait_until(
        "the page says that it has no connection",
        "document.querySelector('#banner').checkVisibility() \
         && /No connection/.test(document.querySelector('#banner').textContent)",
    );
    let server = server.start_again();
    let mut writer = server.peer();
    let stream = writer.create("After", json!({"Name": "after"}));
    assert_eq!(writer.write(&stream, b"bytes of another broker"), 0);
    browser.wait_until(
        "it is back, without a hand",
        &format!(
            "!document.querySelector('#banner').checkVisibility() && {rows}.includes('after') \
             && !{rows}.includes('before')"
        ),
    );
    browser.run(&format!("location.hash = '#/{stream}'"));
    wait_for_tail(&browser, "bytes of another broker");
}

#[test]
fn what_peers_say_is_text_and_nothing_else() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let hostile = "<img src=x onerror=\"document.title='taken over'\">\"'</td><script>1</script>";
    // Marks that would turn the line around, and the begin of a terminal's sequence.
    let name = format!("{hostile}\u{202e}gpj\u{9b}31m");
    let shown = format!("{hostile}\\u{{202e}}gpj\\u{{9b}}31m");
    let options = json!({"Name": name, "ContextID": name});
    let stream = writer.create(hostile, options);
    let browser = look_at(&server);
    let link = in_row(&stream, "a");
    browser.wait_until("the row is there", &link);
    assert_eq!(text(&browser, &link), shown);
    browser.run(&format!("{link}.click()"));
    let title = "document.querySelector('#detail-title')";
    browser.wait_until("the detail is there", &format!("{title}.textContent != ''"));
    assert_eq!(text(&browser, title), shown);
    assert_eq!(browser.run("return document.querySelectorAll('main img').length"), json!(0));
    assert_eq!(text(&browser, "document.querySelector('title')"), "Weir");
}

#[test]
fn a_thousand_streams_are_shown_a_part_at_a_time() {
    let server = TestServer::start();
    let mut writer = server.peer();
    for number in 0..1000 {
        writer.create("Many", json!({"Name": format!("console {number}")}));
    }
    let browser = look_at(&server);
    let shown = "document.querySelectorAll('tr[data-stream]').length";
    browser.wait_until("the first hundred are shown", &format!("{shown} == 100"));
    let more = "document.querySelector('#streams-more')";
    assert_eq!(text(&browser, more), "Show 100 more of 900");
    browser.run(&format!("{more}.click()"));
    browser.wait_until("and more when asked", &format!("{shown} == 200"));
    // As a person would: a key to get to the filter, and letters into it.
    browser.press("/");
    for letter in "console 777".chars() {
        browser.press(&letter.to_string());
    }
    browser.wait_until("the filter finds one", &format!("{shown} == 1"));
    assert_eq!(text(&browser, "document.querySelector('#streams-title')"), "Streams (1 of 1,000)");
}

#[test]
fn everything_can_be_reached_by_keyboard() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("Keys", json!({"Name": "keyed"}));
    let browser = look_at(&server);
    let link = in_row(&stream, "a");
    browser.wait_until("the row is there", &link);
    const TAB: &str = "\u{e004}";
    browser.press(TAB);
    assert_eq!(text(&browser, "document.activeElement"), "Skip to the streams");
    wait_until(PATIENCE, "tabbing reaches the stream", || {
        browser.press(TAB);
        browser.run(&format!("return document.activeElement === {link}")) == json!(true)
    });
    browser.press(ENTER);
    let detail = "document.querySelector('#detail')";
    browser.wait_until("Enter opens it", &format!("{detail}.checkVisibility()"));
    let focus = browser.run("return document.activeElement.id");
    assert_eq!(focus, json!("detail-title"), "and leads there");
    browser.press(ESCAPE);
    browser.wait_until("Escape closes it", &format!("!{detail}.checkVisibility()"));
    browser.wait_until("and leads back", &format!("document.activeElement === {link}"));
}
