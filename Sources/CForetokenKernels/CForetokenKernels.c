// CForetokenKernels
