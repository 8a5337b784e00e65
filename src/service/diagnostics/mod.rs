//! The `Diagnostics` service (TCF specification, "TCF Diagnostics Service"), as far as a broker has
//! it: clients' own test suites use it to check a peer.

mod create_test_streams;
mod dispose_test_stream;
mod echo;
mod echo_err;
mod echo_fp;
mod echo_int;
mod target_tests;

use crate::service::Handler;

/// The handler of a command of this service.
pub fn find(name: &[u8]) -> Option<Handler> {
    Some(match name {
        b"echo" => echo::run,
        b"echoFP" => echo_fp::run,
        b"echoINT" => echo_int::run,
        b"echoERR" => echo_err::run,
        b"getTestList" => target_tests::get_test_list,
        b"runTest" => target_tests::run_test,
        b"cancelTest" => target_tests::cancel_test,
        b"getSymbol" => target_tests::get_symbol,
        b"createTestStreams" => create_test_streams::run,
        b"disposeTestStream" => dispose_test_stream::run,
        _ => return None,
    })
}
