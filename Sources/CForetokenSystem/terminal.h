#pragma once

/// Puts a terminal that is held back into its usual state; async-signal-safe.
void foretoken_terminal_put_back(void);
