// CForetokenKernelsTests
