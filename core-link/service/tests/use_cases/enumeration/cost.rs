//! What Core counts about its own work.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::runtime::Builder;

/// Reads, changes and password hashes of one Core. Other tests of the same process count elsewhere.
pub(super) struct Costs(PrometheusHandle);

impl Costs {
    pub(super) fn so_far(&self) -> [u64; 3] {
        let text = self.0.render();
        ["store_reads", "store_jobs", "password_hashes"].map(|name| {
            let name = format!("postern_core_{name}_total ");
            let line = text.lines().find_map(|line| line.strip_prefix(&name));
            line.map_or(0, |count| count.trim().parse().unwrap())
        })
    }

    pub(super) fn since(&self, before: [u64; 3]) -> [u64; 3] {
        let now = self.so_far();
        std::array::from_fn(|index| now[index] - before[index])
    }
}

/// Runs a test on a runtime of its own, all threads of which count for it.
pub(super) fn measured(test: impl AsyncFnOnce(Costs)) {
    let recorder: &'static PrometheusRecorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
    let _guard = metrics::set_default_local_recorder(recorder);
    let runtime = Builder::new_current_thread()
        .enable_all()
        // Passwords are hashed on other threads, which live as long as the runtime.
        .on_thread_start(|| std::mem::forget(metrics::set_default_local_recorder(recorder)))
        .build()
        .unwrap();
    runtime.block_on(test(Costs(recorder.handle())));
}
