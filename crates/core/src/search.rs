//! Search: what is asked, how keyword and vector hits are fused, what is answered.
