//! What a key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::cli::top::view::{Sort, View};

/// Rows that a page key moves by.
const PAGE: isize = 10;

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Quit,
}

/// Does what the key says.
pub(crate) fn press(view: &mut View, key: KeyEvent) -> Then {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => return Then::Quit,
        KeyCode::Char('q') => return Then::Quit,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left if view.is_open() => view.close(),
        KeyCode::Esc => return Then::Quit,
        KeyCode::Enter | KeyCode::Right => view.open(),
        KeyCode::Up | KeyCode::Char('k') => view.step(-1),
        KeyCode::Down | KeyCode::Char('j') => view.step(1),
        KeyCode::PageUp => view.step(-PAGE),
        KeyCode::PageDown => view.step(PAGE),
        KeyCode::Home => view.step(isize::MIN),
        KeyCode::End => view.step(isize::MAX),
        KeyCode::Char('a') => view.sort_by(Sort::Attention),
        KeyCode::Char('l') => view.sort_by(Sort::Lag),
        KeyCode::Char('r') => view.sort_by(Sort::Rate),
        KeyCode::Char('f') => view.sort_by(Sort::Fill),
        _ => {}
    }
    Then::GoOn
}
