// CForetokenSystem
