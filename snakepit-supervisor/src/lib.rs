//! snakepit-supervisor
