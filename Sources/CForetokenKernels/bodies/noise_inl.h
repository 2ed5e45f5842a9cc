// Keyed Gumbel noise on eight lanes. No fused operation and no 64-bit product: the bits are equal in every table.

/// -log(x) for normal positive x, given x - 1 apart so that its precision survives near x = 1.
FT_INLINE v8 negative_log8(v8 x, v8 minus_one) {
    // x = m 2^e with m in [√½, √2): subtracting √½'s bits makes the exponent field e and the rest m's offset.
    v8i offset = (v8i)x - 0x3F3504F3;
    v8i exponent = offset >> 23;
    v8 m = (v8)((offset & 0x007FFFFF) + 0x3F3504F3);
    v8 f = select8(exponent == 0, minus_one, m - splat8(1.0f));

    v8 p = splat8(-0.0763379112f);
    p = p * f + splat8(0.127613038f);
    p = p * f + splat8(-0.131603211f);
    p = p * f + splat8(0.14201805f);
    p = p * f + splat8(-0.16623348f);
    p = p * f + splat8(0.200012252f);
    p = p * f + splat8(-0.250008225f);
    p = p * f + splat8(0.333333313f);

    v8 e = __builtin_convertvector(exponent, v8);
    v8 square = f * f;
    v8 tail = p * (square * f) - e * splat8(2.12194440e-4f);  // ln 2 = 0.693359375 - 0.000212194440
    tail = tail - square * splat8(0.5f);
    return -((f + tail) + e * splat8(0.693359375f));
}

/// 32 well-mixed bits of (key, token): two rounds of multiply and xor-shift (constants found by C. Wellons' search for
/// low-bias permutations), each entered with one half of the key.
FT_INLINE v8u hash8(uint64_t key, v8u token) {
    v8u x = token * 0x9E3779B9u + splat8u((uint32_t)key);
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    x = (x ^ (x >> 16)) + splat8u((uint32_t)(key >> 32));
    x = (x ^ (x >> 17)) * 0xED5AD4BBu;
    x = (x ^ (x >> 11)) * 0xAC4C1B51u;
    x = (x ^ (x >> 15)) * 0x31848BABu;
    return x ^ (x >> 14);
}

/// Standard Gumbel noise -log E, E = -log u. Both u and 1 - u come straight from the hash, (h + ½) 2^-32 and its mirror
/// image, so that E keeps full relative precision at both ends: where u rounds to 1, 1 - u still tells how far it is.
FT_INLINE v8 gumbel8(uint64_t key, v8u token) {
    v8u h = hash8(key, token);
    v8 rest = (__builtin_convertvector(h, v8) + splat8(0.5f)) * splat8(0x1p-32f);
    v8 u = (__builtin_convertvector(~h, v8) + splat8(0.5f)) * splat8(0x1p-32f);
    v8 e = negative_log8(u, -rest);
    return negative_log8(e, e - splat8(1.0f));
}
