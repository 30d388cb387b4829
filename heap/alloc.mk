# sources of the allocator and the trace region
