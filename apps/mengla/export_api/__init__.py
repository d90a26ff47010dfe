"""What an address of exports takes and answers. The views call it, and the pages of `apps.admin`."""
