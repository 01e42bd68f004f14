mod issue;
mod money;
mod simulation;
mod world;
