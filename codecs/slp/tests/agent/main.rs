//! Agents on a network that loses, repeats and delays, in virtual time.

mod convergence;
mod directory_agents;
mod exchange;
mod hostile;
mod lan;
mod user_agent;
