// operator new and delete on malloc and free, which the linker's --wrap then shows to the oracle.
// libstdc++'s own would call malloc from inside the shared library, unseen.
#include <cstdlib>
#include <new>

namespace
{
void *allocate(std::size_t size, std::size_t alignment)
{
    void *pointer = alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__
                        ? std::malloc(size)
                        : std::aligned_alloc(alignment, (size + alignment - 1) & -alignment);
    if (!pointer) {
        throw std::bad_alloc();
    }
    return pointer;
}
} // namespace

void *operator new(std::size_t size)
{
    return allocate(size, 1);
}

void *operator new[](std::size_t size)
{
    return allocate(size, 1);
}

void *operator new(std::size_t size, std::align_val_t alignment)
{
    return allocate(size, static_cast<std::size_t>(alignment));
}

void *operator new[](std::size_t size, std::align_val_t alignment)
{
    return allocate(size, static_cast<std::size_t>(alignment));
}

void operator delete(void *pointer) noexcept
{
    std::free(pointer);
}

void operator delete[](void *pointer) noexcept
{
    std::free(pointer);
}

void operator delete(void *pointer, std::size_t) noexcept
{
    std::free(pointer);
}

void operator delete[](void *pointer, std::size_t) noexcept
{
    std::free(pointer);
}

void operator delete(void *pointer, std::align_val_t) noexcept
{
    std::free(pointer);
}

void operator delete[](void *pointer, std::align_val_t) noexcept
{
    std::free(pointer);
}

void operator delete(void *pointer, std::size_t, std::align_val_t) noexcept
{
    std::free(pointer);
}

void operator delete[](void *pointer, std::size_t, std::align_val_t) noexcept
{
    std::free(pointer);
}
