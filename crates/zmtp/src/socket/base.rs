//! What all sockets have in common: endpoints, and an end.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::hub::Hub;
use crate::config::{Config, ConfigError};
use crate::endpoint::{Endpoint, EndpointError};
use crate::engine::{BindError, Listener, dial};
use crate::proto::SocketType;

#[derive(Debug)]
pub(super) struct Base {
    pub(super) hub: Arc<Hub>,
    /// One task for each endpoint.
    tasks: Mutex<JoinSet<()>>,
}

impl Base {
    pub(super) fn new(socket_type: SocketType, config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { hub: Hub::new(socket_type, config), tasks: Mutex::default() })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    pub(super) async fn bind(&self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        let listener = Listener::bind(endpoint).await?;
        let bound = listener.endpoint().clone();
        self.spawn(listener.run(self.hub.clone()));
        Ok(bound)
    }

    pub(super) fn connect(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        endpoint.check_connect()?;
        self.spawn(dial(self.hub.clone(), endpoint.clone()));
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.hub.close().await;
        let mut tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        while tasks.join_next().await.is_some() {}
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        self.hub.abort();
    }
}
