//! What the units keep from the programs, and the programs' secrets from everybody else.

use anyhow::{Context, Result, ensure};

use crate::{EDGE, UNITS, machine::Machine};

/// Of ten: the less, the less a program that was taken over can do.
const EXPOSURE_MAX: f64 = 1.5;

pub(crate) async fn little_is_exposed(machine: &Machine) -> Result<String> {
    let mut figures = String::new();
    for unit in UNITS {
        figures += &format!("{unit}={} ", exposure(machine, unit).await?);
    }
    Ok(figures)
}

pub(crate) async fn exposure(machine: &Machine, unit: &str) -> Result<f64> {
    let threshold = EXPOSURE_MAX * 10.0;
    let told = machine
        .run(&format!("systemd-analyze security --no-pager --offline=yes --threshold={threshold:.0} {unit}.service"))
        .await?;
    let figure = told.lines().last().and_then(|line| line.split(": ").nth(1)?.split(' ').next()?.parse().ok());
    let figure: f64 = figure.with_context(|| format!("no figure: {told}"))?;
    ensure!(figure <= EXPOSURE_MAX, "{figure}");
    Ok(figure)
}

/// As the kernel sees them.
pub(crate) async fn both_run_as_nobody_who_can_do_anything(machine: &Machine) -> Result<String> {
    for unit in UNITS {
        let pid = machine.property(unit, "MainPID").await?;
        let status = machine.run(&format!("cat /proc/{pid}/status")).await?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        ensure!(!field("Uid:").split_whitespace().any(|uid| uid == "0"), "{unit} is root");
        for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            ensure!(field(capabilities) == "0000000000000000", "{unit} has {capabilities} {}", field(capabilities));
        }
        ensure!((field("NoNewPrivs:"), field("Seccomp:")) == ("1", "2"), "{unit} may call what it likes: {status}");
        let files = machine.run(&format!("cat /proc/{pid}/mountinfo; cat /proc/{pid}/limits")).await?;
        let of = |place: &str| files.lines().find(|line| line.split(' ').nth(4) == Some(place)).unwrap_or_default();
        let may_write = |place: &str| of(place).split(' ').nth(5).unwrap_or_default().starts_with("rw");
        ensure!(
            !may_write("/") && may_write(&format!("/var/lib/private/{unit}")),
            "{unit} may write elsewhere: {files}"
        );
        ensure!(
            files.lines().any(|line| line.starts_with("Max core file size        0 ")),
            "{unit} leaves core files: {files}"
        );
    }
    Ok(format!("units={}", UNITS.len()))
}

pub(crate) async fn a_secret_is_for_its_service_only(machine: &Machine) -> Result<String> {
    let core = machine.property("postern-core", "MainPID").await?;
    let seen = machine.run(&format!("cat /proc/{core}/root/run/credentials/postern-core.service/master.key")).await?;
    let given = machine.run("cat /etc/postern/master.key").await?;
    ensure!(seen == given, "Core does not see what it was given");
    machine.run("! ls /var/lib/private/postern-core/master.key").await?;
    let edge = machine.property("postern-edge", "MainPID").await?;
    machine.run(&format!("! ls -A /proc/{edge}/root/run/credentials/postern-core.service")).await?;
    let modes = machine.run("stat -c '%a %n' /run/credentials/postern-core.service/*").await?;
    ensure!(modes.lines().count() == 2, "{modes}");
    ensure!(modes.lines().all(|line| line.split(' ').next().is_some_and(|mode| mode.ends_with('0'))), "{modes}");
    // Nobody else on the machine.
    machine.run("! setpriv --reuid=nobody --clear-groups cat /run/credentials/postern-core.service/master.key").await?;
    Ok(format!("files={}", modes.lines().count()))
}

/// The same key, sealed by `systemd-creds`; the open file is gone.
pub(crate) async fn a_secret_may_lie_encrypted(machine: &Machine) -> Result<String> {
    let seal =
        "systemd-creds encrypt --with-key=host --name=master.key /etc/postern/master.key /etc/postern/master.key.sealed
        rm /etc/postern/master.key
        sed -i 's|^LoadCredential=master.key:.*|LoadCredentialEncrypted=master.key:/etc/postern/master.key.sealed|' \
            /etc/systemd/system/postern-core.service.d/secrets.conf
        systemctl daemon-reload
        systemctl restart postern-core";
    machine.run(seal).await?;
    let ready = machine.edge_answers(EDGE, 200).await?;
    Ok(format!("ready_ms={}", ready.as_millis()))
}
