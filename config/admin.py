from unfold.sites import UnfoldAdminSite


class HoldfastAdminSite(UnfoldAdminSite):
    pass
