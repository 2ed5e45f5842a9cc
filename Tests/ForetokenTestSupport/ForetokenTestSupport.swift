// ForetokenTestSupport
