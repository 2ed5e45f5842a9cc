// CForetokenDemo
