//! snakepit-adapters
