# sources of capture and unwinding
