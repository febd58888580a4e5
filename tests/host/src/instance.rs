//! Instances of a component: their state, their limits, and how long each is kept.
//!
//! As in Spin, which serves with the same handler, requests go to an instance that is there as long as it can take more. One
//! that computes without a pause cannot be asked, so what it was given waits until it pauses, expires or is killed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use clock::{Clock, Sleep};
use tokio::sync::watch;
use wasmtime::component::{Component, GuestTaskId, Linker};
use wasmtime::{Engine, Store, StoreContextMut};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_http::{p2, p3};

use crate::clocks;
use crate::log::{Lines, Log};
use crate::memory::MemoryLimit;
use crate::outbound::Hooks;
use crate::spin_variables;
use crate::stats::Counters;

/// All instances that are alive, so that they can be killed together.
pub(crate) struct Fleet(Mutex<Arc<watch::Sender<bool>>>);

impl Fleet {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Arc::new(watch::Sender::new(false))))
    }

    /// The generation that new instances belong to. It holds `true` once it was killed, and it is closed once none of its
    /// instances is left.
    pub(crate) fn generation(&self) -> Arc<watch::Sender<bool>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Has every instance dropped that is alive now, and returns their generation.
    pub(crate) fn kill(&self) -> Arc<watch::Sender<bool>> {
        let next = Arc::new(watch::Sender::new(false));
        let killed = std::mem::replace(
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
            next,
        );
        killed.send_replace(true);
        killed
    }
}

/// What bounds instances; all durations in the guest's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) memory: usize,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) max_reuse: usize,
    pub(crate) max_concurrency: usize,
    pub(crate) idle_timeout: Duration,
}

/// One component of the application, ready to be instantiated.
pub(crate) struct Served {
    id: String,
    pre: ProxyPre<Guest>,
    engine: Engine,
    around: Surroundings,
}

/// What a component finds around it.
pub(crate) struct Surroundings {
    pub(crate) variables: Arc<BTreeMap<String, Option<String>>>,
    pub(crate) hooks: Hooks,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
}

impl Served {
    /// Links `component`; fails when it imports what this host does not have, or exports neither `wasi:http/handler` of 0.3
    /// nor `wasi:http/incoming-handler` of 0.2.
    pub(crate) fn new(
        id: String,
        component: &Component,
        mut around: Surroundings,
    ) -> wasmtime::Result<Self> {
        let mut linker = Linker::<Guest>::new(component.engine());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        p2::add_only_http_to_linker_async(&mut linker)?;
        p3::add_to_linker(&mut linker)?;
        spin_variables::add_to_linker(&mut linker)?;
        clocks::link(&around.clock, &mut linker)?;
        let pre = linker.instantiate_pre(component)?;
        let pre = match p3::bindings::ServicePre::new(pre.clone()) {
            Ok(pre) => ProxyPre::P3(pre),
            Err(_) => {
                // as in Spin, each request has an instance of its own
                around.limits.max_reuse = 1;
                ProxyPre::P2(p2::bindings::ProxyPre::new(pre)?)
            }
        };
        Ok(Self {
            id,
            pre,
            engine: component.engine().clone(),
            around,
        })
    }

    fn guest(&self, generation: &watch::Sender<bool>) -> Guest {
        let around = &self.around;
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Lines::new(around.log.clone()))
            .stderr(Lines::new(around.log.clone()))
            .allow_tcp(false)
            .allow_udp(false);
        clocks::configure(&around.clock, &mut wasi);
        Guest {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: around.hooks.clone(),
            variables: around.variables.clone(),
            memory: MemoryLimit::new(around.limits.memory, around.counters.clone()),
            clock: around.clock.clone(),
            _alive: generation.subscribe(),
        }
    }
}

/// What the host keeps for one instance.
pub(crate) struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    variables: Arc<BTreeMap<String, Option<String>>>,
    memory: MemoryLimit,
    clock: Clock,
    /// Keeps the instance's generation open.
    _alive: watch::Receiver<bool>,
}

impl Guest {
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The variables; without a value where the provider fails.
    pub(crate) fn variables(&self) -> &BTreeMap<String, Option<String>> {
        &self.variables
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

impl HandlerState for Served {
    type StoreData = Guest;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Guest, Expiration, Worker>> {
        let around = &self.around;
        let generation = around.fleet.generation();
        let mut store = Store::new(&self.engine, self.guest(&generation));
        store.limiter(|guest| &mut guest.memory);
        // A guest that computes without end gives way at every tick, so that it can be killed.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Counters::count(&around.counters.instances);
        let timed_out = Arc::new(AtomicBool::new(false));
        Ok(Instance {
            store,
            proxy,
            view: Guest::http,
            expiration: Expiration {
                killed: killed(generation.subscribe()),
                clock: around.clock.clone(),
                limits: around.limits,
                timer: None,
                timed_out: timed_out.clone(),
            },
            state: Worker {
                component: self.id.clone(),
                clock: around.clock.clone(),
                limits: around.limits,
                generation,
                timed_out,
                counters: around.counters.clone(),
            },
        })
    }
}

type Killed = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

fn killed(mut generation: watch::Receiver<bool>) -> Killed {
    Box::pin(async move {
        // The sender is gone only with the host.
        let _ = generation.wait_for(|killed| *killed).await;
    })
}

/// Ends an instance when it is killed, when it was idle for long enough, and when a request takes too long.
pub(crate) struct Expiration {
    killed: Killed,
    clock: Clock,
    limits: Limits,
    /// What the instance does, since when, and the end of the time that it may do so.
    timer: Option<(WorkerStatus, Instant, Sleep)>,
    timed_out: Arc<AtomicBool>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        if self.killed.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let limit = match status {
            WorkerStatus::Idle => Some(self.limits.idle_timeout),
            WorkerStatus::Requests | WorkerStatus::PostReturn => self.limits.request_timeout,
        };
        let Some(limit) = limit else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = match self.timer.take() {
            Some((of, since, timer)) if (of, since) == (status, start) => timer,
            _ => self.clock.sleep(limit),
        };
        let (_, _, timer) = self.timer.insert((status, start, timer));
        let expired = Pin::new(timer).poll(context);
        if expired.is_ready() && status != WorkerStatus::Idle {
            self.timed_out.store(true, Relaxed);
        }
        expired
    }
}

/// Decides what an instance takes on, and counts how it ends.
pub(crate) struct Worker {
    component: String,
    clock: Clock,
    limits: Limits,
    generation: Arc<watch::Sender<bool>>,
    timed_out: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl WorkerState for Worker {
    type StoreData = Guest;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.limits.max_reuse || *self.generation.borrow() {
            ShouldAccept::Never
        } else if concurrent >= self.limits.max_concurrency {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Guest>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        match self.limits.request_timeout {
            Some(limit) => Box::pin(self.clock.sleep(limit)),
            None => Box::pin(std::future::pending()),
        }
    }

    fn drop(&self, store: Store<Guest>, result: wasmtime::Result<()>) {
        drop(store);
        let Err(error) = result else { return };
        if *self.generation.borrow() {
            return;
        }
        if self.timed_out.load(Relaxed) {
            Counters::count(&self.counters.timeouts);
        } else {
            Counters::count(&self.counters.traps);
        }
        eprintln!(
            "host: an instance of component `{}` ended: {error:?}",
            self.component
        );
    }
}
