//! An agent beside a board that boots: a log that was printed before anybody came.

use std::time::Duration;

use crate::cli::demo::stage::{Stage, pause};
use crate::client::{ClientError, Connection, CreateOptions, StallTimeout};

/// What the board prints while it boots, each line with its microseconds.
const LINES: &[(u64, &str)] = &[
    (0, "Booting Linux on physical CPU 0x0000000000 [0x410fd034]"),
    (0, "Linux version 6.12.9-weir-demo (gcc 14.2.0) #1 SMP PREEMPT"),
    (0, "Machine model: Weir Demo Board rev B"),
    (0, "efi: UEFI not found."),
    (0, "Zone ranges:"),
    (0, "  DMA      [mem 0x0000000040000000-0x000000007fffffff]"),
    (0, "  Normal   empty"),
    (0, "psci: PSCIv1.1 detected in firmware."),
    (0, "percpu: Embedded 20 pages/cpu s42216 r8192 d31512 u81920"),
    (0, "Kernel command line: console=ttyS0,115200 root=/dev/mmcblk0p2 rootwait"),
    (0, "Memory: 999428K/1048576K available"),
    (9, "sched_clock: 56 bits at 25MHz, resolution 40ns"),
    (1_204, "Console: colour dummy device 80x25"),
    (4_410, "smp: Bringing up secondary CPUs ..."),
    (9_873, "Detected VIPT I-cache on CPU1"),
    (10_112, "smp: Brought up 1 node, 2 CPUs"),
    (48_921, "NET: Registered PF_NETLINK/PF_ROUTE protocol family"),
    (71_335, "clocksource: Switched to clocksource arch_sys_counter"),
    (140_287, "tcp_listen_portaddr_hash hash table entries: 512"),
    (310_562, "Serial: 8250/16550 driver, 4 ports, IRQ sharing disabled"),
    (318_004, "ff000000.serial: ttyS0 at MMIO 0xff000000 is a 16550A"),
    (402_871, "macb ff0b0000.ethernet eth0: Cadence GEM rev 0x40070106"),
    (611_093, "mmc0: SDHCI controller on ff160000.mmc using ADMA 64-bit"),
    (640_718, "mmc0: new high speed SDHC card at address aaaa"),
    (655_240, "mmcblk0: mmc0:aaaa SL16G 14.8 GiB"),
    (698_115, "EXT4-fs (mmcblk0p2): mounted filesystem ro with ordered data mode"),
    (702_377, "VFS: Mounted root (ext4 filesystem) readonly on device 179:2."),
    (731_026, "Freeing unused kernel memory: 1984K"),
    (733_590, "Run /sbin/init as init process"),
    (1_204_118, "systemd[1]: Detected architecture arm64."),
    (1_310_402, "systemd[1]: Hostname set to <board-1>."),
    (2_018_556, "macb ff0b0000.ethernet eth0: Link is Up - 1Gbps/Full"),
    (2_551_300, "systemd[1]: Reached target Multi-User System."),
];

/// What it says from time to time once it is up.
const LATER: &[&str] = &[
    "random: crng reseeded on system resumption",
    "macb ff0b0000.ethernet eth0: Link is Down",
    "macb ff0b0000.ethernet eth0: Link is Up - 1Gbps/Full",
    "mmc0: tuning execution ok",
];

/// Creates the stream and boots.
pub(crate) fn enter(stage: &mut Stage) -> anyhow::Result<String> {
    stage.enter(
        "boot-log",
        |connection| {
            let options = CreateOptions {
                context: Some("board-1".to_owned()),
                name: Some("board-1 boot log".to_owned()),
                stall_timeout: Some(StallTimeout::AfterMs(5000)),
                hold: true,
                ..CreateOptions::default()
            };
            let stream = connection.create("boot", &options)?;
            for (time, line) in LINES {
                say(connection, &stream, *time, line)?;
            }
            Ok(stream)
        },
        |connection, stream| {
            let mut time = 2_551_300;
            for line in LATER.iter().cycle() {
                let wait = Duration::from_secs(7);
                pause(connection, wait)?;
                time += wait.as_micros() as u64;
                say(connection, &stream, time, line)?;
            }
            Ok(())
        },
    )
}

fn say(
    connection: &mut Connection,
    stream: &str,
    time: u64,
    line: &str,
) -> Result<(), ClientError> {
    let text = format!("[{:>5}.{:06}] {line}\r\n", time / 1_000_000, time % 1_000_000);
    connection.write(stream, text.into_bytes())
}
