//! What each recording is to Weir.

use crate::replay::replay;
use crate::transcript;
use crate::{differs, rules};

/// Names the recordings that Weir follows, and makes a test of each.
macro_rules! applies {
    ($($name:ident)*) => {
        const APPLIES: &[&str] = &[$(stringify!($name)),*];

        #[allow(non_snake_case, reason = "a test is named as its file")]
        mod replays {
            $(#[test] fn $name() { super::replay(stringify!($name)); })*
        }
    };
}

applies! {
    bad_F bad_F_extra bad_arg_type bad_base64 bad_base64_connected bad_echo_badesc
    bad_echo_binary bad_echo_null bad_echo_num bad_echo_unterminated bad_empty_message
    bad_event_truncated bad_extra_arg bad_extra_arg_sync bad_json_trailing bad_missing_arg
    bad_missing_arg_nul bad_no_name_nul bad_read_size bad_reply_N bad_reply_P bad_reply_token
    bad_truncated_name bad_truncated_token bad_type_empty bad_type_long bad_type_unknown
    before_hello bin_at_eom bin_empty bin_large_read_zc bin_no_zc bin_nonminimal bin_split bin_whole
    bin_write_nozc diag_echo_zc diag_echoerr diag_echofp diag_echoint diag_echoint_badtype
    diag_echoint_exp eos_midmessage eos_only eos_with_error hello_bad hello_empty hello_nullitem
    hello_plain hello_twice hello_zerocopy locator ok_F ok_F_empty ok_F_no_nul ok_empty_token
    ok_long_name ok_unknown_event ok_utf8_token streams_basic_b64 streams_basic_zc streams_connect
    streams_create_bad_sizes streams_disconnect_pending_reads streams_no_reader
    streams_overlapped_reads streams_queued_mismatch streams_read_sizes streams_read_zero
    streams_reads_then_eos streams_subscribe_multi streams_two_readers
    streams_write_full_then_drained streams_wrong_direction unknown_command
}

/// Recordings that Weir does not follow, why, and the test that shows what it does instead.
const DIFFERS: &[(&str, &str, fn())] = &[
    (
        "bad_echo_4096",
        "a string has the bound of all arguments, which is larger",
        differs::echo_is_bounded_like_every_argument,
    ),
    (
        "bad_escape",
        "an invalid escape is malformed input and not an orderly end",
        differs::invalid_escape_is_named,
    ),
    (
        "base64_variants",
        "data of a write whose size does not match is not written",
        differs::base64_forms_and_sizes,
    ),
    (
        "bin_short",
        "a (N) value ends with its message; the reference reads on into the next one",
        differs::counted_value_past_its_message_closes,
    ),
    (
        "bin_write_zc",
        "data of a write whose size does not match is not written",
        differs::binary_data_in_its_forms,
    ),
    (
        "diag_echo",
        "surrogate pairs come back as proper UTF-8, not as CESU-8",
        differs::echo_gives_back_what_it_got,
    ),
    ("diag_misc", "Weir has no built-in tests and no symbols", differs::diagnostics_of_a_relay),
    (
        "eos_after_commands",
        "commands that came before an end of stream are answered",
        differs::commands_before_the_end_are_answered,
    ),
    ("ok_long_token", "a token is echoed whole", differs::long_token_is_echoed_whole),
    (
        "streams_close_with_pending",
        "what pends at a close is answered before Weir's end of stream",
        differs::pending_at_close_is_cancelled,
    ),
    (
        "streams_disconnect_pending_writes",
        "a pair of test streams takes exactly input + 111 + output bytes at once",
        differs::disconnect_cancels_parked_writes,
    ),
    (
        "streams_dispose_connected",
        "reads of a disposed stream get its end",
        differs::reads_of_a_disposed_stream_get_its_end,
    ),
    (
        "streams_dispose_other_client",
        "readers of a disposed stream drain it and get its end",
        differs::readers_drain_a_disposed_stream,
    ),
    (
        "streams_size_mismatch",
        "a write is checked before anything of it is stored",
        differs::size_mismatch_writes_nothing,
    ),
    (
        "streams_subscribe_twice",
        "a subscriber is told of the live streams after its reply",
        differs::subscribe_tells_of_live_streams,
    ),
    ("streams_unknown_ids", "stream IDs are read strictly", differs::stream_ids_are_strict),
    (
        "streams_writers_two",
        "writes are atomic, and an end waits for what others have parked",
        rules::writers::writes_of_two_channels_never_interleave,
    ),
];

/// Recordings of what Weir does not have.
const NOT_APPLICABLE: &[(&str, &str)] = &[
    ("dprintf_open", "a relay prints nothing by itself"),
    ("locator_peer_events", "Weir tells of no peers"),
    ("processes_start", "Weir starts no processes"),
    ("proxy_client_command_before_target_hello", "Weir is no proxy of other peers"),
    ("proxy_view_client_zc_only", "Weir is no proxy of other peers"),
    ("proxy_view_target_zc_only", "Weir is no proxy of other peers"),
    ("proxy_view_zc_both", "Weir is no proxy of other peers"),
    ("redirect_by_id", "Weir redirects nobody"),
    ("redirect_by_props", "Weir redirects nobody"),
    ("redirect_by_props_zc", "Weir redirects nobody"),
    ("redirect_errors", "Weir redirects nobody"),
    ("redirect_nonstring_prop", "Weir redirects nobody"),
    ("redirect_pending", "Weir redirects nobody"),
    ("redirect_target_dies", "Weir redirects nobody"),
    ("redirect_twice", "Weir redirects nobody"),
    ("terminals_launch", "Weir starts no terminals"),
    ("udp_discovery", "Weir does not take part in discovery"),
];

#[test]
fn table_names_every_recording_once() {
    let mut named: Vec<&str> = APPLIES.to_vec();
    named.extend(DIFFERS.iter().map(|(name, _, _)| name));
    named.extend(NOT_APPLICABLE.iter().map(|(name, _)| name));
    named.sort_unstable();
    assert_eq!(named, transcript::names());
    assert_eq!(named.len(), 109);
}

#[test]
fn every_difference_has_its_reason() {
    for (name, why, _) in DIFFERS {
        assert!(!why.is_empty(), "{name}");
    }
}
