// CForetokenRegex
