//! Shares of CPU and disk: each interface counts them on a scale of its own.

/// From the specification's 10 to 1000 to `io.weight`'s 1 to 10000, linearly, as runc does.
pub(super) fn io_weight_number(weight: u16) -> u32 {
    1 + (u32::from(weight).saturating_sub(10)) * 9999 / 990
}

/// As the file takes it.
pub(super) fn io_weight(weight: u16) -> String {
    io_weight_number(weight).to_string()
}

/// From the specification's CPU shares (2 to 262144, default 1024) to v2's `cpu.weight` (1 to 10000,
/// default 100): the curve through (2, 1), (1024, 100) and (262144, 10000) that runc 1.3.2 and crun
/// 1.23 agreed on, so that the default stays the default (containers/crun pull request 1767, opencontainers/runc 4785).
pub fn shares_to_weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let shares = u32::try_from(shares).unwrap_or(u32::MAX);
            let l = f64::from(shares).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            let weight = 10_f64.powf(exponent).ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and 10000 by the curve's ends"
            )]
            let weight = weight as u64;
            weight.clamp(1, 10_000)
        }
    }
}

/// The CPU shares that mean this weight: the least that [`shares_to_weight`] takes back to it, so that
/// `--cpu-weight` reaches a v2 group unchanged. Weights are from 1 to 10000; others are the nearest.
pub fn weight_to_shares(weight: u64) -> u64 {
    let (mut low, mut high) = (2, 262_144);
    while low < high {
        let middle = u64::midpoint(low, high);
        if shares_to_weight(middle) < weight {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
