//! Runs many seeds: `cargo run --release -p simulation --example seeds -- 10000 [first]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(count)), first) = (numbers.next(), numbers.next()) else {
        eprintln!("usage: seeds COUNT [FIRST]");
        return ExitCode::from(2);
    };
    let first = first.and_then(Result::ok).unwrap_or(0);
    for seed in first..first + count {
        let tally = simulation::run(seed);
        if seed % 500 == 0 {
            println!("seed {seed}: {tally:?}");
        }
    }
    println!("{count} seeds: every promise held");
    ExitCode::SUCCESS
}
