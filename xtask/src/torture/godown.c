/* Shuts a file system down as a loss of power would: nothing more reaches its disk,
 * not even its log. The number is that of EXT4_IOC_SHUTDOWN, the 2 its flag for "do not
 * flush the log" (Linux, fs/ext4/ext4.h and include/uapi/linux/ext4.h). */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int count, char **arguments)
{
    uint32_t how = 2;
    int folder = count == 2 ? open(arguments[1], O_RDONLY) : -1;
    if (folder < 0 || ioctl(folder, _IOR('X', 125, uint32_t), &how) != 0) {
        perror("the file system cannot be shut down");
        return 1;
    }
    return 0;
}
